/**
 * Bytes and their spellings, strictly: what has two spellings is read in one only.
 *
 * Encoders and decoders of the platform repair what they are given (a lone surrogate, a byte order mark, stray bits
 * behind base64). Here nothing is repaired, since a repaired passcode opens nothing and nobody would know why.
 */
// @ts-check
import { ApiError } from "./api-error.js";

const CHUNK = 0x8000; // more arguments than this overflow the stack of some engines

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return btoa(binary);
}

/** @param {Uint8Array} bytes */
export function toBase64url(bytes) {
  return toBase64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/**
 * Standard base64, padded and canonical; throws for everything else.
 * @param {string} text
 */
export function fromBase64(text) {
  const binary = atob(text);
  if (btoa(binary) !== text) throw new TypeError("not canonical base64");
  return fromBinary(binary);
}

/**
 * Either alphabet, padded or not: keys typed into links by other people's code. Throws for other characters.
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
  return Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
}

/** @param {...Uint8Array} parts */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, each) => sum + each.length, 0));
  let at = 0;
  for (const each of parts) {
    whole.set(each, at);
    at += each.length;
  }
  return whole;
}

/**
 * ApiError `bad_request` naming `field` for text that has no UTF-8 form.
 * @param {string} text
 * @param {string} field
 */
export function utf8(text, field = "text") {
  // TextEncoder would put U+FFFD in the place of a lone surrogate and say nothing.
  if (/\p{Surrogate}/u.test(text)) throw new ApiError("bad_request", { fields: [field] });
  return new TextEncoder().encode(text);
}

/**
 * Throws for bytes that are not UTF-8; a byte order mark stays what it was, a character.
 * @param {Uint8Array} bytes
 */
export function fromUtf8(bytes) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}
