/**
 * Key derivation from the link's key, and the encrypted envelope: version 1 of the format, with WebCrypto.
 *
 *     pc_salt      = HKDF(K, "seclink/v1/passcode-salt", 16)
 *     S            = PBKDF2-HMAC-SHA-256(UTF-8(NFC(passcode)), pc_salt, 600000, 32)     empty without a passcode
 *     content_key  = HKDF(K || S, "seclink/v1/content", 32)      never leaves the browser
 *     access       = HKDF(K, "seclink/v1/access", 32)            sent to the server when revealing
 *     accessHash   = hex(SHA-256(access))                        sent to the server when creating
 *     passcodeHash = hex(HKDF(K || S, "seclink/v1/passcode", 32))
 *
 *     encryptedBlob = AES-256-GCM(content_key, iv, plaintext, AAD "seclink/v1"), tag appended
 *     plaintext     = u32 length of header || header (JSON object) || body || zero bytes up to padded(...)
 *
 * Tested with the same vector files as seclink/format/envelope.py. All functions are pure: key and iv are arguments.
 */
// @ts-check
import { concat, fromUtf8, toBase64url, toHex, utf8 } from "./bytes.js";
import { ApiError } from "./api-error.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

export const FORMAT = "seclink/v1";
export const IV_BYTES = 12;

const PBKDF2_ROUNDS = 600000;
const SMALLEST = 256;
const TOO_LONG = /^-?\d{4301}/;
const AAD = utf8(FORMAT);
const NOTHING = new Uint8Array(0);

/**
 * Derive all keys of a secret. With a passcode this takes over 0.1 s, on purpose. An empty passcode counts as none.
 * `contentKey` is never sent to a server.
 * @param {Bytes} key
 * @param {string | null} [passcode]
 * @returns {Promise<{contentKey: Bytes, access: string, accessHash: string, passcodeHash: string | null}>}
 */
export async function derive(key, passcode) {
  const stretched = passcode ? await stretch(passcode, await hkdf(key, "passcode-salt", 16)) : NOTHING;
  const both = concat(key, stretched);
  const access = await hkdf(key, "access");
  return {
    contentKey: await hkdf(both, "content"),
    access: toBase64url(access),
    accessHash: toHex(await sha256(access)),
    passcodeHash: passcode ? toHex(await hkdf(both, "passcode")) : null,
  };
}

/**
 * Return the padded length by Padmé: it leaks O(log log n) bits of the length and costs at most 12 %. All short
 * secrets have one length.
 * @param {number} length
 */
export function padded(length) {
  if (length <= SMALLEST) return SMALLEST;
  const exponent = bits(length) - 1;
  const step = 2 ** (exponent - bits(exponent));
  return Math.ceil(length / step) * step;
}

/** @param {number} number */
function bits(number) {
  return number.toString(2).length;
}

/**
 * Return the encryptedBlob. `header` has its `type`; `size` is added as the second member. Never use a key twice with
 * the same iv.
 * @param {Bytes} contentKey
 * @param {Bytes} iv
 * @param {{type: string, [member: string]: unknown}} header
 * @param {Bytes} body
 */
export async function seal(contentKey, iv, header, body) {
  const { type, size: _, ...rest } = header;
  const encoded = utf8(JSON.stringify({ type, size: body.length, ...rest }));
  const plain = new Uint8Array(padded(4 + encoded.length + body.length));
  new DataView(plain.buffer).setUint32(0, encoded.length);
  plain.set(encoded, 4);
  plain.set(body, 4 + encoded.length);
  const key = await aes(contentKey, "encrypt");
  return new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: AAD }, key, plain));
}

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
  return typeof header?.type === "string" && Number.isSafeInteger(JSON.parse(integersOnly).size) && header.size >= 0;
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

/** @param {Bytes} data */
export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
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

/**
 * @param {Bytes} key
 * @param {KeyUsage} use
 */
function aes(key, use) {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, [use]);
}

/**
 * @param {Bytes} secret
 * @param {string} name
 */
async function hkdf(secret, name, length = 32) {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const algorithm = { name: "HKDF", hash: "SHA-256", salt: NOTHING, info: utf8(`${FORMAT}/${name}`) };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, length * 8));
}

/**
 * @param {string} passcode
 * @param {Bytes} salt
 */
async function stretch(passcode, salt) {
  // NFC: macOS and Windows may encode the same typed word as different bytes.
  const typed = utf8(passcode.normalize("NFC"), "passcode");
  const key = await crypto.subtle.importKey("raw", typed, "PBKDF2", false, ["deriveBits"]);
  const algorithm = { name: "PBKDF2", hash: "SHA-256", salt, iterations: PBKDF2_ROUNDS };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, 256));
}
