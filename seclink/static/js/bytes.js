/**
 * Strict encoders and decoders of bytes: only the canonical encoding is accepted.
 *
 * The browser's own repair their input (a lone surrogate, a byte order mark, stray bits after base64). These reject it,
 * since a repaired passcode does not open the secret, and the reason would be invisible.
 *
 * @typedef {Uint8Array<ArrayBuffer>} Bytes
 */
// @ts-check
import { ApiError } from "./api-error.js";

const CHUNK_BYTES = 0x8000; // more arguments than this overflow the stack of some engines

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES));
  }
  return btoa(binary);
}

/** @param {Uint8Array} bytes */
export function toBase64url(bytes) {
  return toBase64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/**
 * Decode standard base64, padded and canonical. Throws for everything else.
 * @param {string} text
 */
export function fromBase64(text) {
  const binary = atob(text);
  if (btoa(binary) !== text) throw new TypeError("not canonical base64");
  return fromBinary(binary);
}

/**
 * Decode base64 of either alphabet, padded or not, as other programs write keys. Throws for other characters.
 * @param {string} text
 */
export function fromAnyBase64(text) {
  const standard = text.replace(/=+$/, "").replace(/-/g, "+").replace(/_/g, "/");
  if (!/^[A-Za-z0-9+/]*$/.test(standard)) throw new TypeError("not base64");
  return fromBinary(atob(standard));
}

/** @param {string} binary */
function fromBinary(binary) {
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** @param {Uint8Array} bytes */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {...Uint8Array} parts */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Encode text. Throws ApiError `bad_request` naming `field` if the text has no UTF-8 form.
 * @param {string} text
 * @param {string} field
 */
export function utf8(text, field = "text") {
  // TextEncoder would silently replace a lone surrogate by U+FFFD.
  if (/\p{Surrogate}/u.test(text)) throw new ApiError("bad_request", { fields: [field] });
  return new TextEncoder().encode(text);
}

/**
 * Decode text. Throws for bytes that are not UTF-8; a byte order mark is kept as a character.
 * @param {Uint8Array} bytes
 */
export function fromUtf8(bytes) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}
