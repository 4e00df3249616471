/**
 * What pages and client module share: sealing a secret and handing it over, and finding out who opens a link.
 *
 * A link's fragment, a passcode and a content key never enter a request: only what envelope.js derives from them does.
 */
// @ts-check
import { toBase64, utf8 } from "./bytes.js";
import { FORMAT, IV_BYTES, derive, seal } from "./envelope.js";
import { build, drawKey, keyOf, randomBytes } from "./link.js";
import { Refusal } from "./refusal.js";

/**
 * @typedef {{access?: string, passcodeHash?: string}} Proof what `reveal` and `burn` show the server
 * @typedef {{type: string, name?: string, mediaType?: string, body: Uint8Array}} Opened
 * @typedef {{proof: Proof, open: (blob: Uint8Array, iv: Uint8Array) => Promise<Opened>}} Unlocked
 * @typedef {{unlock: (fragment: string, passcode?: string | null) => Promise<Unlocked>}} Opener
 */

/** @type {[string, () => Promise<Opener>][]} */
const OPENERS = [
  [FORMAT, () => import("./openers/seclink-v1.js")],
  ["raw", () => import("./openers/raw.js")],
];
const TYPES = ["text", "redirect", "neogram", "file"];

/**
 * Seal `content` here and hand the ciphertext to the server. Refusal `bad_request` names what cannot be sealed.
 * @param {ReturnType<import("./api.js").api>} api
 * @param {string | Uint8Array} content
 * @param {{type?: string, passcode?: string | null, expiresIn?: number, maxViews?: number | null,
 *   publicNote?: string | null, label?: string | null, name?: string, mediaType?: string}} [terms]
 *   `expiresIn` in seconds, `maxViews` null for any number, `publicNote` is shown before revealing, `label` to the
 *   sender alone; a redirect's content is a web address, a file has its `name`
 * @returns {Promise<{link: string, linkId: string, receiptId: string, manageToken: string, expiresAt: number,
 *   maxViews: number | null}>} `expiresAt` in epoch milliseconds; `link` carries the key and exists nowhere else
 */
export async function create(api, content, terms = {}) {
  const { type = "text", passcode, expiresIn = 86400, maxViews = 1, publicNote, label } = terms;
  const body = bodyOf(content, type);
  const header = headerOf(type, terms);
  const key = await drawKey();
  const keys = await derive(key, passcode);
  const iv = randomBytes(IV_BYTES);
  const { shareUrl, ...made } = await api.create({
    encryptedBlob: toBase64(await seal(keys.contentKey, iv, header, body)),
    iv: toBase64(iv),
    format: FORMAT,
    accessHash: keys.accessHash,
    passcodeHash: keys.passcodeHash || undefined,
    expiresIn,
    maxViews,
    publicNote: publicNote || undefined,
    label: label || undefined,
  });
  return { link: await build(shareUrl, key), ...made };
}

/**
 * The module that opens this link: `await (await unlock(fragment, format)).unlock(fragment, passcode)` gives
 * `{proof, open}`. A fragment that checks out as ours is opened as ours, whatever the server says the format is;
 * Refusal `link_incomplete` where the fragment is none that the server's format has.
 * @param {string} fragment
 * @param {string} format
 * @returns {Promise<Opener>}
 */
export async function unlock(fragment, format) {
  const known = new Map(OPENERS).get((await isOurs(fragment)) ? FORMAT : format);
  if (!known) throw new Refusal("link_incomplete");
  const opener = await known().catch(lost);
  await opener.unlock(fragment, null); // is it whole? nothing is asked of anybody
  return opener;
}

/**
 * The address of a redirect, or null for what must not be one: only http and https, printable, spelled out from its
 * scheme to its host. A user before the host is allowed, so whoever shows it shows the host too.
 * @param {string} text
 * @returns {URL | null}
 */
export function webAddress(text) {
  if (!/^https?:\/\/[^/?#]/i.test(text) || /[\p{C}\p{Z}\\]/u.test(text)) return null;
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** @param {string} fragment */
async function isOurs(fragment) {
  try {
    return Boolean(await keyOf(fragment));
  } catch {
    return false;
  }
}

/** @returns {never} */
function lost() {
  throw new Refusal("unreachable");
}

/**
 * @param {string | Uint8Array} content
 * @param {string} type
 */
function bodyOf(content, type) {
  if (type === "redirect" && !webAddress(String(content))) throw new Refusal("bad_request", { fields: ["text"] });
  return typeof content === "string" ? utf8(content) : content;
}

/**
 * @param {string} type
 * @param {{name?: string, mediaType?: string}} file
 */
function headerOf(type, { name = "", mediaType = "application/octet-stream" }) {
  if (!TYPES.includes(type)) throw new Refusal("bad_request", { fields: ["type"] });
  if (type !== "file") return { type };
  const base = name.split(/[/\\]/).pop() || "";
  if (["", ".", ".."].includes(base) || !utf8(base, "name")) throw new Refusal("bad_request", { fields: ["name"] });
  return { type, name: base, mediaType };
}
