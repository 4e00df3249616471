/**
 * Decodes the fragment of a link. Missing characters cannot be restored: the checksum finds them (ApiError
 * `link_incomplete`) before a view is spent. A raw secret's fragment is its sender's own AES key.
 */
// @ts-check
import { fromAnyBase64, toBase64, toBase64url } from "./bytes.js";
import { fragmentOf } from "./link.js";
import { ApiError } from "./api-error.js";

const FRAGMENT_CHARACTERS = 48;
const RAW_KEY_BYTES = [16, 32];

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
