/**
 * Opens what a client of scrt.link sealed: format "scrt-link".
 *
 *     payload     {"meta": enc(JSON {"secretType": ...}, masterKey), "content": enc(text, masterKey)}
 *     enc(x, p)   "data:application/octet-stream;base64," + base64(salt 16 || iv 16 || AES-256-GCM(key, iv, x))
 *     key         PBKDF2-HMAC-SHA-256(p, salt, 100000, 32)
 *
 * With a password, x is enc(x, password) already. A layer that is not as many as the server says opens nothing: what
 * would be shown is not what was sealed.
 */
// @ts-check
import { fromUtf8, utf8 } from "../bytes.js";
import { openRaw, rawPasscodeHash } from "../envelope.js";
import { ApiError } from "../api-error.js";
import { bytesOf, objectIn, payloadOf, stretched, textLike } from "./foreign.js";

const MASTER_KEY = /^[A-Za-z0-9$~_.-]{36}$/;
const DATA_URL = /^data:application\/octet-stream;base64,/;
const ROUNDS = 100000;
const TYPES = /^(?:text|redirect|neogram)$/;

/**
 * ApiError `link_incomplete` for no such key; `open` rejects with `not_authentic`.
 * @param {string} fragment
 * @param {string | null} [passcode]
 */
export async function unlock(fragment, passcode) {
  if (!MASTER_KEY.test(fragment)) throw new ApiError("link_incomplete");
  const passwords = passcode ? [fragment, passcode] : [fragment];
  return {
    proof: passcode ? { passcodeHash: await rawPasscodeHash(passcode) } : {},
    /**
     * @param {Uint8Array} blob
     * @param {Uint8Array} iv
     */
    async open(blob, iv) {
      const { meta, content } = payloadOf(blob, iv);
      const { secretType } = objectIn(await peeled(meta, passwords));
      return { type: textLike(secretType, TYPES), body: await peeled(content, passwords) };
    },
  };
}

/**
 * @param {unknown} sealed
 * @param {string[]} passwords from the outermost layer inwards
 * @returns {Promise<Uint8Array>}
 */
async function peeled(sealed, [password, ...inner]) {
  const bytes = bytesOf(textLike(sealed, DATA_URL).replace(DATA_URL, ""));
  const key = await stretched(utf8(password), bytes.subarray(0, 16), ROUNDS);
  const opened = await openRaw(key, bytes.subarray(16, 32), bytes.subarray(32));
  return inner.length ? peeled(textIn(opened), inner) : opened;
}

/** @param {Uint8Array} bytes */
function textIn(bytes) {
  try {
    return fromUtf8(bytes);
  } catch {
    throw new ApiError("not_authentic");
  }
}
