/**
 * The link: `{public_url}/{linkId}#{fragment}`, written and read as seclink/format/link.py does.
 *
 *     linkId    12 characters of [A-Za-z0-9], drawn by the server
 *     fragment  base64url(0x01 || K || SHA-256(0x01 || K)[0:3]): 48 characters, checked before anything is asked
 *
 * What mail clients and trackers add is ignored; what they take away cannot be put back, and the checksum says so:
 * ApiError `link_incomplete`, while nothing is spent. A raw secret's fragment is its sender's own AES key; only the
 * server knows which kind a linkId is, so `parse` leaves the fragment as it is.
 */
// @ts-check
import { concat, fromAnyBase64, toBase64url } from "./bytes.js";
import { sha256 } from "./envelope.js";
import { ApiError } from "./api-error.js";

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
 * K, drawn again until the fragment ends in a letter or digit: mail clients cut `-` and `_` off.
 * @param {(count: number) => Uint8Array} random
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
 * The link in what somebody pasted; `base` is the public_url it was made under, the fragment is not yet checked.
 * @param {string} text
 * @returns {{base: string, linkId: string, fragment: string}}
 */
export function parse(text) {
  const found = LINK.exec(text.trimEnd())?.groups;
  // user@host is how a link pretends to lead elsewhere; no server of ours writes one.
  if (!found || found.base.includes("@") || !isAddress(found.base)) throw new ApiError("link_incomplete");
  return { base: found.base.replace(/\/+$/, ""), linkId: found.linkId, fragment: cleaned(found.hash || "") };
}

/** @param {string} text */
function isAddress(text) {
  try {
    return Boolean(new URL(text));
  } catch {
    return false;
  }
}

/**
 * The part of location.hash a key can be written with: up to the first character that no key has.
 * @param {string} hash
 */
export function cleaned(hash) {
  return hash.replace(/^#/, "").replace(/[^A-Za-z0-9+/=_-][^]*$/, "");
}

/**
 * K, or ApiError `link_incomplete` for another length, version or checksum.
 * @param {string} fragment
 */
export async function keyOf(fragment) {
  const whole = decoded(fragment);
  const key = whole.slice(1, -3);
  // Written again, it must come out the same: that is version and checksum in one.
  if (fragment.length !== FRAGMENT_CHARACTERS || (await fragmentOf(key)) !== toBase64url(whole)) {
    throw new ApiError("link_incomplete");
  }
  return key;
}

/**
 * The AES key of a raw secret: base64 or base64url of 16 or 32 bytes, padded or not; else ApiError `link_incomplete`.
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
