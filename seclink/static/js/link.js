/**
 * Builds the link `{public_url}/{linkId}#{fragment}`, like seclink/format/link.py.
 *
 *     linkId    12 characters of [A-Za-z0-9], drawn by the server
 *     fragment  base64url(0x01 || K || SHA-256(0x01 || K)[0:3]): 48 characters, checked before any request
 *
 * `pasted-link.js` finds it in what programs make of it, `link-key.js` decodes its fragment.
 */
// @ts-check
import { concat, toBase64url } from "./bytes.js";
import { sha256 } from "./envelope.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const VERSION = 1;
const KEY_BYTES = 32;

/**
 * Draw K, again until the fragment ends in a letter or digit: mail clients cut `-` and `_` off.
 * @param {(count: number) => Bytes} random
 */
export async function drawKey(random = randomBytes) {
  for (;;) {
    const key = random(KEY_BYTES);
    if (/[A-Za-z0-9]$/.test(await fragmentOf(key))) return key;
  }
}

/** @param {number} count */
export function randomBytes(count) {
  return crypto.getRandomValues(new Uint8Array(count));
}

/**
 * @param {string} shareUrl
 * @param {Uint8Array} key
 */
export async function build(shareUrl, key) {
  return `${shareUrl}#${await fragmentOf(key)}`;
}

/** @param {Uint8Array} key */
export async function fragmentOf(key) {
  const checked = concat(new Uint8Array([VERSION]), key);
  return toBase64url(concat(checked, (await sha256(checked)).subarray(0, 3)));
}
