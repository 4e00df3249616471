/**
 * The link `{public_url}/{linkId}#{fragment}` and its key, like seclink/format/link.py.
 *
 *     linkId    12 characters of [A-Za-z0-9], drawn by the server
 *     fragment  base64url(0x01 || K || SHA-256(0x01 || K)[0:3]): 48 characters, checked before any request
 *
 * Missing characters cannot be restored: the checksum finds them (ApiError `link_incomplete`) before a view is spent. A
 * raw secret's fragment is its sender's own AES key. `pasted-link.js` finds links in what programs make of them.
 */
// @ts-check
import { concat, fromAnyBase64, toBase64, toBase64url } from "./bytes.js";
import { sha256 } from "./envelope.js";
import { ApiError } from "./api-error.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const VERSION = 1;
const FRAGMENT_CHARACTERS = 48;
const KEY_BYTES = 32;
const RAW_KEY_BYTES = [16, 32];

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

/**
 * Return K. Throws ApiError `link_incomplete` for another length, version or checksum.
 * @param {string} fragment
 */
export async function keyOf(fragment) {
  const whole = decoded(fragment);
  const key = whole.slice(1, -3);
  // Encoding the key again must give the same fragment: that checks version and checksum at once.
  if (fragment.length !== FRAGMENT_CHARACTERS || (await fragmentOf(key)) !== toBase64url(whole)) {
    throw new ApiError("link_incomplete");
  }
  return key;
}

/** @param {string} fragment */
export async function isOwnKey(fragment) {
  try {
    return Boolean(await keyOf(fragment));
  } catch {
    return false;
  }
}

/**
 * Return the AES key of a raw secret, written as base64 or base64url of 16 or 32 bytes, padded or not. Throws ApiError
 * `link_incomplete` for everything else, also if unused bits of the last character are not zero.
 * @param {string} fragment
 */
export function rawKeyOf(fragment) {
  const key = decoded(fragment);
  const standard = fragment.replace(/-/g, "+").replace(/_/g, "/");
  const padded = toBase64(key);
  if (!RAW_KEY_BYTES.includes(key.length) || ![padded, padded.replace(/=+$/, "")].includes(standard)) {
    throw new ApiError("link_incomplete");
  }
  return key;
}

/** @param {string} fragment */
function decoded(fragment) {
  try {
    return fromAnyBase64(fragment);
  } catch {
    throw new ApiError("link_incomplete");
  }
}
