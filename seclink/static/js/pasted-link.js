/**
 * Finds a link in a pasted text or a URL, as mail and chat programs pass it on.
 *
 * What they add is ignored, and what they rewrite is undone where the result is certain: a key has a fixed length and
 * alphabet, SecLink's own also a checksum. A key that lacks a character, has one more letter or digit, or holds another
 * character is none. `seclink/format/pasted_link.py` does the same and says what is added and rewritten;
 * `tests/vectors/pasted_*.json` and `foreign_addresses_*.json` are for both.
 */
// @ts-check
import { ApiError } from "./api-error.js";
import { isUsableHost } from "./host.js";
import { isOwnKey } from "./link-key.js";

/**
 * @typedef {{path: string, isKey: ((text: string) => boolean | Promise<boolean>) | null}} Form a form of links: the
 *   pattern of their path, whose group is the id, and what is a key; null for links without one
 * @typedef {{form: Form, url: string, base: string, id: string, key: string, isExposed: boolean,
 *   isDamaged: boolean}} Match `url` without
 *   the key and what was added, `base` without the form's path; `isExposed`: servers on its way may have read the key;
 *   `isDamaged`: there is something that is no whole key
 */

const MAX_TEXT_CHARACTERS = 100_000;
const MAX_URLS = 20; // looked at in one text
const MAX_ESCAPES = 3; // on top of each other
const MAX_TAIL_CHARACTERS = 1000;
const MAX_KEY_CHARACTERS = 64;

// With the backslashes that Markdown and JSON put before these marks.
const DROPPED = new RegExp("[\\u00ad\\u034f\\u061c\\u180e\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f" +
  "\\ufe00-\\ufe0f\\ufeff]|\\\\(?=[-_#~/])", "g");
const LINE_BREAK = /=?\r?\n[\s>|]*/g;
const GAP = /=?\r?\n[\s>|]*|\s+/;
const URLS = /(?=(https?:\/\/[^\s/?#<>"\\]+)([^\s?#<>"\\]*)(?:\?[^\s#]*)?(?:#([^]*))?)/gi;
const AROUND = /[\s<>"()[\]]/;
// Behind a key: marks that keys have, too, and then no letter or digit.
const END = /^[-_=+/~$]*(?![-_=+/~$A-Za-z0-9])/;
const BEHIND_PATH = "[^A-Za-z0-9;]*(?:;[^]*)?$";
/** @type {[RegExp, (url: string) => string][]} Proofpoint's rewriting, versions 2 and 3, and what undoes it */
const PROOFPOINT = [
  [/https?-3A__[^&\s]+/gi, (url) => unescape(url.replace(/_/g, "/").replace(/-/g, "%"))],
  [/(?<=\/v3\/__)https?:[^\n]{0,400}?(?=__;)/gi, (url) => url.replace(/\*/g, "#")],
];
// Behind a raw key of 16 bytes: what may be the rest of a damaged one of 32, and is no tracker or word.
const MAY_GO_ON = new RegExp("^(?:(?![-_+/~$]*[?&][A-Za-z0-9_]+=)[^\\s<>\"'()\\[\\]{}A-Za-z0-9]+[A-Za-z0-9]" +
  "|[^A-Za-z0-9]+(?:[A-Za-z]+>)?[A-Za-z0-9+/_-]{16})");
const SHORT_KEY_CHARACTERS = 22;

/**
 * Return the first link with a whole key in a pasted text, else one with an empty key, else null. Rejects with ApiError
 * `link_incomplete` if its host cannot be used or was broken, or if it is behind a damaged link of another server.
 * @param {string} text
 * @param {Form[]} forms
 */
export async function findLink(text, forms) {
  return find(text, forms, MAX_URLS);
}

/**
 * Return the link in a page's own URL. Another URL inside it is none.
 * @param {string} href
 * @param {Form[]} forms
 */
export async function readUrl(href, forms) {
  return find(href, forms, 1);
}

/**
 * @param {string} text
 * @param {Form[]} forms
 * @param {number} max URLs
 * @returns {Promise<Match | null>}
 */
async function find(text, forms, max) {
  /** @type {Match | null} */
  let keyless = null;
  for (const [variant, source, isEscaped] of variants(text.slice(0, MAX_TEXT_CHARACTERS))) {
    let count = 0;
    for (const url of variant.matchAll(URLS)) {
      if ((count += 1) > max) break;
      const candidate = await match(url, forms, source, isEscaped || isWrapped(variant.slice(0, url.index)));
      if (candidate && (candidate.key || !candidate.form.isKey)) {
        if (!keyless?.isDamaged || keyless.base === candidate.base || candidate.isExposed) return candidate;
        throw new ApiError("link_incomplete");
      }
      keyless ??= candidate;
    }
  }
  return keyless;
}

/**
 * Yield the text with ever more of its rewriting undone, the text in which its hosts must stand as they are, and whether
 * a `#` in it may have been escaped.
 * @param {string} text
 * @returns {Generator<[string, string, boolean]>}
 */
function* variants(text) {
  const whole = text.replace(DROPPED, "");
  const joined = whole.replace(LINE_BREAK, "");
  const shown = text.replace(/\\/g, "");
  const sources = undone(shown, unescape).map((source) => source.toLowerCase());
  yield [whole, sources[0], false];
  yield [joined, sources[0], false];
  for (const variant of new Set([whole, joined])) {
    for (const [index, plain] of unescaped(variant).slice(1).entries()) {
      yield [plain, sources[Math.min(index + 1, sources.length - 1)], true];
    }
  }
  for (const [pattern, rewrite] of PROOFPOINT) {
    yield [joined.replace(pattern, rewrite).replace(DROPPED, ""), shown.replace(pattern, rewrite).toLowerCase(), true];
  }
}

/**
 * Return the text, and then with its escapes undone and invisible characters dropped once, twice, ...
 * @param {string} text
 */
function unescaped(text) {
  return undone(text, (escaped) => unescape(escaped).replace(DROPPED, ""));
}

/**
 * Return the text, and then what `undo` makes of it once, twice, ..., as long as that changes it.
 * @param {string} text
 * @param {(text: string) => string} undo
 */
function undone(text, undo) {
  const texts = [text];
  while (texts.length <= MAX_ESCAPES) {
    const plain = undo(texts[texts.length - 1]);
    if (texts.includes(plain)) break;
    texts.push(plain);
  }
  return texts;
}

/** @param {string} text */
function unescape(text) {
  const percent = text.replace(/=([0-9A-F]{2})/g, "%$1"); // quoted-printable
  return percent.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    const bytes = run.slice(1).split("%").map((digits) => parseInt(digits, 16));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(bytes));
  });
}

/**
 * Return whether the text before a URL is the beginning of another one.
 * @param {string} before
 */
function isWrapped(before) {
  return Boolean(before.split(AROUND).pop()?.includes("://"));
}

/**
 * @param {RegExpMatchArray} url
 * @param {Form[]} forms
 * @param {string} source
 * @param {boolean} isExposed
 * @returns {Promise<Match | null>}
 */
async function match([, scheme, escapedPath, tail = ""], forms, source, isExposed) {
  // A key behind an escaped # is read when the escapes of the whole text are undone.
  const [path, escapedKey] = (unescaped(escapedPath).pop() ?? "").split(/#([^]*)/);
  const host = scheme.toLowerCase();
  for (const form of forms) {
    const groups = new RegExp(`${form.path}(?=${BEHIND_PATH})`).exec(path);
    if (!groups) continue;
    if (!isUsableHost(host.replace(/^https?:\/\//, "")) || !source.includes(host)) throw new ApiError("link_incomplete");
    const below = path.slice(0, groups.index).replace(/\/+$/, "");
    if (/@|:\/\//.test(below)) return null; // makes a link look as if it led elsewhere; no SecLink server builds one
    const url = host + path.slice(0, groups.index + groups[0].length);
    const key = form.isKey && !escapedKey ? await keyIn(tail, form.isKey) : "";
    return { form, url, base: host + below, id: groups[1], key, isExposed, isDamaged: Boolean(tail || escapedKey) && !key };
  }
  return null;
}

/**
 * Return the key at the beginning of the text behind the `#`, or "" if there is none or more than one.
 * @param {string} tail
 * @param {(text: string) => boolean | Promise<boolean>} isKey
 */
async function keyIn(tail, isKey) {
  const plain = unescaped(tail.slice(0, MAX_TAIL_CHARACTERS)).pop() ?? "";
  /** @type {Set<string>} */
  const keys = new Set();
  let start = "";
  const pieces = plain.replace(/^#+/, "").split(GAP);
  for (const [index, piece] of pieces.slice(0, MAX_KEY_CHARACTERS).entries()) {
    if (start.length >= MAX_KEY_CHARACTERS) break;
    start += piece;
    const key = await longestKey(start, ["", ...pieces.slice(index + 1)].join(" "), isKey);
    if (key) keys.add(key);
  }
  return certainKey([...keys]);
}

/**
 * Return the only key, or the one with a checksum: a part of a broken key can look like a raw one, which has none.
 * @param {string[]} keys
 */
async function certainKey(keys) {
  for (const key of keys) if (keys.length === 1 || (await isOwnKey(key))) return key;
  return "";
}

/**
 * @param {string} text
 * @param {string} rest behind it
 * @param {(text: string) => boolean | Promise<boolean>} isKey
 */
async function longestKey(text, rest, isKey) {
  for (let end = Math.min(text.length, MAX_KEY_CHARACTERS); end >= SHORT_KEY_CHARACTERS; end -= 1) {
    const key = text.slice(0, end);
    if (!END.test(text.slice(end)) || !(await isKey(key))) continue;
    const isPart = end === SHORT_KEY_CHARACTERS && MAY_GO_ON.test(text.slice(end) + rest);
    return isPart ? "" : key.replace(/=+$/, "");
  }
  return "";
}
