/**
 * What the formats of other systems have in common: the payload is a JSON object of their own strings, and a key is
 * stretched from a password. Whatever is not of the documented shape is `not_authentic`, never repaired.
 */
// @ts-check
import { fromBase64, fromUtf8 } from "../bytes.js";
import { ApiError } from "../api-error.js";

/** @typedef {{[member: string]: unknown}} Payload */

/**
 * The payload of a secret whose own iv, if any, is inside of it: the envelope's is one zero byte.
 * @param {Uint8Array} blob
 * @param {Uint8Array} iv
 * @returns {Payload}
 */
export function payloadOf(blob, iv) {
  return strictly(() => {
    if (iv.length !== 1 || iv[0] !== 0) throw new TypeError("iv");
    return objectIn(blob);
  });
}

/**
 * @param {Uint8Array} bytes
 * @returns {Payload}
 */
export function objectIn(bytes) {
  const value = strictly(() => JSON.parse(fromUtf8(bytes)));
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ApiError("not_authentic");
  return value;
}

/**
 * @param {unknown} value
 * @param {RegExp} pattern
 */
export function textLike(value, pattern) {
  if (typeof value !== "string" || !pattern.test(value)) throw new ApiError("not_authentic");
  return value;
}

/**
 * @param {unknown} value
 * @param {number} [length] in bytes
 */
export function bytesOf(value, length) {
  const bytes = strictly(() => fromBase64(textLike(value, /./)));
  if (length !== undefined && bytes.length !== length) throw new ApiError("not_authentic");
  return bytes;
}

/**
 * 32 bytes of PBKDF2.
 * @param {Uint8Array} password
 * @param {Uint8Array} salt
 * @param {number} iterations
 */
export async function stretched(password, salt, iterations, hash = "SHA-256") {
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash, salt, iterations }, key, 256));
}

/**
 * @template T
 * @param {() => T} read
 * @returns {T}
 */
function strictly(read) {
  try {
    return read();
  } catch {
    throw new ApiError("not_authentic");
  }
}
