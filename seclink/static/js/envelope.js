/**
 * The link's key made into everything else, and the sealed envelope: version 1 of the format, with WebCrypto.
 *
 *     pc_salt      = HKDF(K, "seclink/v1/passcode-salt", 16)
 *     S            = PBKDF2-HMAC-SHA-256(UTF-8(NFC(passcode)), pc_salt, 600000, 32)     empty without a passcode
 *     content_key  = HKDF(K || S, "seclink/v1/content", 32)      never leaves the browser
 *     access       = HKDF(K, "seclink/v1/access", 32)            shown to the server when revealing
 *     accessHash   = hex(SHA-256(access))                        given to the server when creating
 *     passcodeHash = hex(HKDF(K || S, "seclink/v1/passcode", 32))
 *
 *     encryptedBlob = AES-256-GCM(content_key, iv, plaintext, AAD "seclink/v1"), tag appended
 *     plaintext     = u32 length of header || header (JSON object) || body || zero bytes up to padded(...)
 *
 * It answers to the same vector files as seclink/format/envelope.py. Everything is pure: key and iv are arguments.
 */
// @ts-check
import { concat, fromUtf8, toBase64url, toHex, utf8 } from "./bytes.js";
import { ApiError } from "./api-error.js";

export const FORMAT = "seclink/v1";
export const IV_BYTES = 12;

const PBKDF2_ROUNDS = 600000;
const SMALLEST = 256;
const TOO_LONG = /^-?\d{4301}/;
const AAD = utf8(FORMAT);
const NOTHING = new Uint8Array(0);

/**
 * All keys of a secret; with a passcode this takes a good tenth of a second, on purpose. An empty passcode is none.
 * Only the last three are ever shown to a server.
 * @param {Uint8Array} key
 * @param {string | null} [passcode]
 * @returns {Promise<{contentKey: Uint8Array, access: string, accessHash: string, passcodeHash: string | null}>}
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
 * Padmé: leaks O(log log n) bits of the length and costs at most 12 %; short secrets all look alike.
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
 * The encryptedBlob. `header` needs its `type`; `size` is put second. One key must never seal twice under one iv.
 * @param {Uint8Array} contentKey
 * @param {Uint8Array} iv
 * @param {{type: string, [member: string]: unknown}} header
 * @param {Uint8Array} body
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
 * Header, members unknown here included, and body; ApiError `not_authentic`: damaged, forged, or not this key.
 * @param {Uint8Array} contentKey
 * @param {Uint8Array} iv
 * @param {Uint8Array} blob
 * @returns {Promise<{header: {type: string, size: number, [member: string]: unknown}, body: Uint8Array}>}
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
 * `5.0` and `5e0` are whole to JavaScript and not to every reader, and Python reads no whole number of over 4300
 * digits: what one refuses, no other may open. Every number is taken whole, so that a long one is looked at once.
 * @param {any} header
 * @param {string} text it was read from
 */
function isHeader(header, text) {
  const whole = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[-+.\deE]*/g, (each) => {
    if (each[0] === '"') return each;
    if (/[.eE]/.test(each)) return "null";
    if (TOO_LONG.test(each)) throw new RangeError("header");
    return each;
  });
  return typeof header?.type === "string" && Number.isSafeInteger(JSON.parse(whole).size) && header.size >= 0;
}

/**
 * A secret made by somebody else's code: AES-GCM under the fragment's key, nothing bound to it.
 * @param {Uint8Array} key 16 or 32 bytes
 * @param {Uint8Array} iv
 * @param {Uint8Array} blob
 */
export function openRaw(key, iv, blob) {
  return decrypt(key, { name: "AES-GCM", iv }, blob);
}

/**
 * What the documented API calls passcodeHash: plain SHA-256, as there is no K to bind it to.
 * @param {string} passcode
 */
export async function rawPasscodeHash(passcode) {
  return toHex(await sha256(utf8(passcode, "passcode")));
}

/** @param {Uint8Array} data */
export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/**
 * @param {Uint8Array} key
 * @param {AesGcmParams} how
 * @param {Uint8Array} blob
 */
async function decrypt(key, how, blob) {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(how, await aes(key, "decrypt"), blob));
  } catch {
    throw new ApiError("not_authentic");
  }
}

/**
 * @param {Uint8Array} key
 * @param {KeyUsage} use
 */
function aes(key, use) {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, [use]);
}

/**
 * @param {Uint8Array} secret
 * @param {string} name
 */
async function hkdf(secret, name, length = 32) {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const how = { name: "HKDF", hash: "SHA-256", salt: NOTHING, info: utf8(`${FORMAT}/${name}`) };
  return new Uint8Array(await crypto.subtle.deriveBits(how, key, length * 8));
}

/**
 * @param {string} passcode
 * @param {Uint8Array} salt
 */
async function stretch(passcode, salt) {
  // NFC: the same word typed on a Mac and on Windows is different bytes and must be the same passcode.
  const typed = utf8(passcode.normalize("NFC"), "passcode");
  const key = await crypto.subtle.importKey("raw", typed, "PBKDF2", false, ["deriveBits"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: PBKDF2_ROUNDS };
  return new Uint8Array(await crypto.subtle.deriveBits(how, key, 256));
}
