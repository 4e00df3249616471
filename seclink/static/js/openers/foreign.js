/**
 * The common parts of other systems' formats: the payload is a JSON object of strings, and a key is derived from a
 * password. Anything that is not of the documented form is `not_authentic` and never repaired.
 */
// @ts-check
import { fromBase64, fromUtf8 } from "../bytes.js";
import { ApiError } from "../api-error.js";

/** @typedef {{[member: string]: unknown}} Payload */

/**
 * Parse a foreign payload, which carries its own iv, if any. The iv beside it is one zero byte.
 * @param {import("../bytes.js").Bytes} blob
 * @param {import("../bytes.js").Bytes} iv
 * @returns {Payload}
 */
export function parsePayload(blob, iv) {
  if (iv.length !== 1 || iv[0] !== 0) throw new ApiError("not_authentic");
  return parseObject(blob);
}

/**
 * @param {import("../bytes.js").Bytes} bytes
 * @returns {Payload}
 */
export function parseObject(bytes) {
  const value = orNotAuthentic(() => JSON.parse(fromUtf8(bytes)));
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ApiError("not_authentic");
  return value;
}

/**
 * @param {unknown} value
 * @param {RegExp} pattern
 */
export function matchingText(value, pattern) {
  if (typeof value !== "string" || !pattern.test(value)) throw new ApiError("not_authentic");
  return value;
}

/**
 * @param {unknown} value
 * @param {number} [length] in bytes
 */
export function decodeBase64(value, length) {
  const bytes = orNotAuthentic(() => fromBase64(matchingText(value, /./)));
  if (length !== undefined && bytes.length !== length) throw new ApiError("not_authentic");
  return bytes;
}

/**
 * Derive 32 bytes with PBKDF2-HMAC.
 * @param {import("../bytes.js").Bytes} password
 * @param {import("../bytes.js").Bytes} salt
 * @param {number} iterations
 */
export async function pbkdf2(password, salt, iterations, hash = "SHA-256") {
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash, salt, iterations }, key, 256));
}

/**
 * @template T
 * @param {() => T} read
 * @returns {T}
 */
function orNotAuthentic(read) {
  try {
    return read();
  } catch {
    throw new ApiError("not_authentic");
  }
}
