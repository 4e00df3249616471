/**
 * Opens secrets that scrt.link's clients sealed: format "scrt-link".
 *
 *     payload     {"meta": enc(JSON {"secretType": ...}, masterKey), "content": enc(text, masterKey)}
 *     enc(x, p)   "data:application/octet-stream;base64," + base64(salt 16 || iv 16 || AES-256-GCM(key, iv, x))
 *     key         PBKDF2-HMAC-SHA-256(p, salt, 100000, 32)
 *
 * With a password, x is already enc(x, password). If the server reports another number of layers than the payload has,
 * it does not open: the page would show something else than the sender sealed.
 */
// @ts-check
import { fromUtf8, toHex, utf8 } from "../bytes.js";
import { sha256 } from "../envelope.js";
import { openRaw, rawPasscodeHash } from "../open-envelope.js";
import { ApiError } from "../api-error.js";
import { decodeBase64, matchingText, parseObject, parsePayload, pbkdf2 } from "./foreign.js";

const MASTER_KEY = /^[A-Za-z0-9$~_.-]{36}$/;
const ID_STARTS_AT = 28;
const DATA_URL = /^data:application\/octet-stream;base64,/;
const ITERATIONS = 100000;
const TYPES = /^(?:text|redirect|neogram)$/;

/**
 * Derive the id from the key. Rejects with ApiError `link_incomplete` for a fragment that is no key.
 * @param {string} fragment
 */
export async function locate(fragment) {
  if (!MASTER_KEY.test(fragment)) throw new ApiError("link_incomplete");
  return toHex(await sha256(utf8(fragment.slice(ID_STARTS_AT))));
}

/**
 * Reject with ApiError `link_incomplete` for a fragment that is no key. `open` rejects with `not_authentic`.
 * @param {string} fragment
 * @param {string | null} [passcode]
 */
export async function unlock(fragment, passcode) {
  if (!MASTER_KEY.test(fragment)) throw new ApiError("link_incomplete");
  const passwords = passcode ? [fragment, passcode] : [fragment];
  return {
    proof: passcode ? { passcodeHash: await rawPasscodeHash(passcode) } : {},
    /**
     * @param {import("../bytes.js").Bytes} blob
     * @param {import("../bytes.js").Bytes} iv
     */
    async open(blob, iv) {
      const { meta, content } = parsePayload(blob, iv);
      const { secretType } = parseObject(await decryptLayers(meta, passwords));
      return { type: matchingText(secretType, TYPES), body: await decryptLayers(content, passwords) };
    },
  };
}

/**
 * @param {unknown} sealed
 * @param {string[]} passwords from the outermost layer inwards
 * @returns {Promise<import("../bytes.js").Bytes>}
 */
async function decryptLayers(sealed, [password, ...inner]) {
  const bytes = decodeBase64(matchingText(sealed, DATA_URL).replace(DATA_URL, ""));
  const key = await pbkdf2(utf8(password), bytes.subarray(0, 16), ITERATIONS);
  const plain = await openRaw(key, bytes.subarray(16, 32), bytes.subarray(32));
  return inner.length ? decryptLayers(decodeText(plain), inner) : plain;
}

/** @param {import("../bytes.js").Bytes} bytes */
function decodeText(bytes) {
  try {
    return fromUtf8(bytes);
  } catch {
    throw new ApiError("not_authentic");
  }
}
