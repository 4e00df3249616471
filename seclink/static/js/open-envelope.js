/**
 * Opens what envelope.js seals, and secrets that other programs encrypted with AES-GCM. A page that only creates does not
 * load it.
 */
// @ts-check
import { fromUtf8, toHex, utf8 } from "./bytes.js";
import { AAD, aes, sha256 } from "./envelope.js";
import { ApiError } from "./api-error.js";
import { namesFiles, readFileHeader } from "./file-header.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const TOO_LONG = /^-?\d{4301}/;

/**
 * Return the header, with members unknown here, and the body. Throws ApiError `not_authentic` if the blob is damaged,
 * forged, or encrypted with another key.
 * @param {Bytes} contentKey
 * @param {Bytes} iv
 * @param {Bytes} blob
 * @returns {Promise<{header: {type: string, size: number, [member: string]: unknown}, body: Bytes}>}
 */
export async function open(contentKey, iv, blob) {
  const plain = await decrypt(contentKey, { name: "AES-GCM", iv, additionalData: AAD }, blob);
  try {
    const start = 4 + new DataView(plain.buffer).getUint32(0);
    if (start > plain.length) throw new RangeError("header");
    const text = fromUtf8(plain.subarray(4, start));
    const header = JSON.parse(text);
    if (!isHeader(header, text) || header.size > plain.length - start) throw new TypeError("header");
    return { header, body: plain.slice(start, start + header.size) };
  } catch {
    throw new ApiError("not_authentic");
  }
}

/**
 * Return true if `header` is valid for every client: JavaScript takes `5.0` and `5e0` for integers and Python does not,
 * and Python parses no integer of over 4300 digits. The pattern matches each number as a whole, so that a long one is
 * scanned once.
 * @param {any} header
 * @param {string} text the JSON of the header
 */
function isHeader(header, text) {
  const integersOnly = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[-+.\deE]*/g, (token) => {
    if (token[0] === '"') return token;
    if (/[.eE]/.test(token)) return "null";
    if (TOO_LONG.test(token)) throw new RangeError("header");
    return token;
  });
  const checked = JSON.parse(integersOnly);
  if (typeof header?.type !== "string" || !Number.isSafeInteger(checked.size) || header.size < 0) return false;
  return !namesFiles(header) || Boolean(readFileHeader(checked));
}

/**
 * Decrypt a secret that another program created: AES-GCM with the fragment's key and without associated data.
 * @param {Bytes} key 16 or 32 bytes
 * @param {Bytes} iv
 * @param {Bytes} blob
 */
export function openRaw(key, iv, blob) {
  return decrypt(key, { name: "AES-GCM", iv }, blob);
}

/**
 * Return the passcodeHash of raw secrets: plain SHA-256, as there is no K to bind it to.
 * @param {string} passcode
 */
export async function rawPasscodeHash(passcode) {
  return toHex(await sha256(utf8(passcode, "passcode")));
}

/**
 * @param {Bytes} key
 * @param {AesGcmParams} algorithm
 * @param {Bytes} blob
 */
async function decrypt(key, algorithm, blob) {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, await aes(key, "decrypt"), blob));
  } catch {
    throw new ApiError("not_authentic");
  }
}
