/**
 * Finds a link in a pasted text or a URL, as mail and chat programs pass it on.
 *
 * What they add is ignored, and what they rewrite is undone where the result is certain: a key has a fixed length and
 * alphabet, SecLink's own also a checksum. A key that lacks a character, has one more letter or digit, or holds another
 * character is none. `seclink/format/pasted_link.py` does the same and says what is added and rewritten;
 * `tests/vectors/pasted_*.json` and `foreign_addresses_*.json` are for both.
 */
// @ts-check
import { isOwnKey } from "./link-key.js";

/**
 * @typedef {{path: string, isKey: ((text: string) => boolean | Promise<boolean>) | null}} Form a form of links: the
 *   pattern of their path, whose group is the id, and what is a key; null for links without one
 * @typedef {{form: Form, url: string, base: string, id: string, key: string, isExposed: boolean}} Match `url` without
 *   the key and what was added, `base` without the form's path; `isExposed`: servers on its way may have read the key
 */

const MAX_URLS = 20; // looked at in one text
const MAX_ESCAPES = 3; // on top of each other
const MAX_TAIL_CHARACTERS = 1000;
const MAX_KEY_CHARACTERS = 100;

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
const PROOFPOINT_2 = /https?-3A__[^&\s]+/gi;
const PROOFPOINT_3 = /\/v3\/__https?:.*?(?=__;)/gi;

/**
 * Return the first link with a whole key in a pasted text, else one with an empty key, else null.
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
  let keyless = null;
  for (const [variant, isEscaped] of variants(text)) {
    let count = 0;
    for (const url of variant.matchAll(URLS)) {
      if ((count += 1) > max) break;
      const candidate = await match(url, forms, isEscaped || isWrapped(variant.slice(0, url.index)));
      if (candidate && (candidate.key || !candidate.form.isKey)) return candidate;
      keyless ??= candidate;
    }
  }
  return keyless;
}

/**
 * Yield the text with ever more of its rewriting undone, and whether a `#` in it may have been escaped.
 * @param {string} text
 * @returns {Generator<[string, boolean]>}
 */
function* variants(text) {
  const whole = text.replace(DROPPED, "");
  const joined = whole.replace(LINE_BREAK, "");
  yield [whole, false];
  yield [joined, false];
  for (const variant of new Set([whole, joined])) {
    for (const plain of unescaped(variant).slice(1)) yield [plain, true];
  }
  yield [joined.replace(PROOFPOINT_2, (url) => unescape(url.replace(/_/g, "/").replace(/-/g, "%"))), true];
  yield [joined.replace(PROOFPOINT_3, (url) => url.replace(/\*/g, "#")), true];
}

/**
 * Return the text, and then with its escapes undone once, twice, ..., as long as that changes it.
 * @param {string} text
 */
function unescaped(text) {
  const texts = [text];
  while (texts.length <= MAX_ESCAPES) {
    const plain = unescape(texts[texts.length - 1]);
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
    return new TextDecoder().decode(new Uint8Array(bytes));
  }).replace(DROPPED, "");
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
 * @param {boolean} isExposed
 * @returns {Promise<Match | null>}
 */
async function match([, host, escapedPath, tail = ""], forms, isExposed) {
  const plain = unescaped(escapedPath).pop() ?? "";
  const path = plain.includes("#") ? escapedPath : plain;
  for (const form of forms) {
    const groups = new RegExp(`${form.path}(?=${BEHIND_PATH})`).exec(path);
    if (!groups) continue;
    const base = host.toLowerCase() + path.slice(0, groups.index).replace(/\/+$/, "");
    if (!isServer(base)) return null;
    const url = host.toLowerCase() + path.slice(0, groups.index + groups[0].length);
    return { form, url, base, id: groups[1], key: form.isKey ? await keyIn(tail, form.isKey) : "", isExposed };
  }
  return null;
}

/** @param {string} base */
function isServer(base) {
  // user@host makes a link look as if it led to another host; no SecLink server builds one.
  if (/@|:\/\/.*:\/\//.test(base)) return false;
  try {
    return Boolean(new URL(base));
  } catch {
    return false;
  }
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
  for (const piece of plain.replace(/^#+/, "").split(GAP)) {
    start += piece;
    if (start.length >= 4 * MAX_KEY_CHARACTERS) break;
    const key = await longestKey(start, isKey);
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
 * @param {(text: string) => boolean | Promise<boolean>} isKey
 */
async function longestKey(text, isKey) {
  for (let end = Math.min(text.length, MAX_KEY_CHARACTERS); end; end -= 1) {
    const key = text.slice(0, end);
    if (END.test(text.slice(end)) && (await isKey(key))) return key.replace(/=+$/, "");
  }
  return "";
}
