/**
 * The link `{public_url}/{linkId}#{fragment}`, built and parsed like seclink/format/link.py.
 *
 *     linkId    12 characters of [A-Za-z0-9], drawn by the server
 *     fragment  base64url(0x01 || K || SHA-256(0x01 || K)[0:3]): 48 characters, checked before any request
 *
 * Characters that mail clients and trackers append are ignored. Missing characters cannot be restored: the checksum
 * finds them (ApiError `link_incomplete`) before a view is spent. A raw secret's fragment is its sender's own AES key.
 * Only the server knows the format of a linkId, so `parse` does not check the fragment.
 */
// @ts-check
import { concat, fromAnyBase64, toBase64url } from "./bytes.js";
import { sha256 } from "./envelope.js";
import { ApiError } from "./api-error.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const VERSION = 1;
const FRAGMENT_CHARACTERS = 48;
const KEY_BYTES = 32;
const RAW_KEY_BYTES = [16, 32];
const LINK = new RegExp(
  "^[\\s<(\\[{\"'`*]*" +
    '(?<base>https?://[^\\s/?#<>"\\\\]+(?:/[^\\s?#<>"\\\\]*)?)' +
    "/(?<linkId>[a-z0-9]{12})/?" +
    "(?:\\?[^#]*)?" +
    "(?:#(?<hash>.*))?$",
  "is",
);

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
 * Find the link in pasted text. `base` is the server's public_url; the fragment is not checked.
 * @param {string} text
 * @returns {{base: string, linkId: string, fragment: string}}
 */
export function parse(text) {
  const groups = LINK.exec(text.trimEnd())?.groups;
  // user@host is how a link pretends to lead elsewhere; no SecLink server issues one.
  if (!groups || groups.base.includes("@") || !isUrl(groups.base)) throw new ApiError("link_incomplete");
  return { base: groups.base.replace(/\/+$/, ""), linkId: groups.linkId, fragment: cleaned(groups.hash || "") };
}

/** @param {string} text */
function isUrl(text) {
  try {
    return Boolean(new URL(text));
  } catch {
    return false;
  }
}

/**
 * Return location.hash without `#`, up to the first character that cannot be part of a key.
 * @param {string} hash
 */
export function cleaned(hash) {
  return hash.replace(/^#/, "").replace(/[^A-Za-z0-9+/=_-][^]*$/, "");
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

/**
 * Return the AES key of a raw secret, written as base64 or base64url of 16 or 32 bytes, padded or not. Throws ApiError
 * `link_incomplete` for everything else.
 * @param {string} fragment
 */
export function rawKeyOf(fragment) {
  const key = decoded(fragment);
  if (!RAW_KEY_BYTES.includes(key.length)) throw new ApiError("link_incomplete");
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
