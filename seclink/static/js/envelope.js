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
 * Opened by open-envelope.js. Tested with the same vector files as seclink/format/envelope.py. All functions are pure: key and iv are arguments.
 */
// @ts-check
import { concat, toBase64url, toHex, utf8 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

export const FORMAT = "seclink/v1";
export const IV_BYTES = 12;

const PBKDF2_ROUNDS = 600000;
const SMALLEST = 256;
export const AAD = utf8(FORMAT);
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

/** @param {Bytes} data */
export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/**
 * @param {Bytes} key
 * @param {...KeyUsage} uses
 */
export function aes(key, ...uses) {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, uses);
}

/**
 * Derive a key for the purpose `name` from a secret key.
 * @param {Bytes} secret
 * @param {string} name
 */
export async function hkdf(secret, name, length = 32) {
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
