/**
 * Opens what a client of Sharokey sealed: format "sharokey". Half of the key is in the payload, half in the fragment.
 *
 *     payload   {"content", "iv", "salt": base64, "key": keyA, "attachments"?: [{"name", "data": base64}, ...]}
 *     key       PBKDF2-HMAC-SHA-256(keyA || keyB, salt, 10000, 32)
 *     content   AES-256-GCM(key, iv, text)
 *
 * Attachments are sealed under the very same key and iv, by design of its clients. One of them that does not open
 * opens nothing. The password is for the server alone and no part of the key.
 */
// @ts-check
import { utf8 } from "../bytes.js";
import { openRaw, rawPasscodeHash } from "../envelope.js";
import { ApiError } from "../api-error.js";
import { bytesOf, payloadOf, stretched, textLike } from "./foreign.js";

const KEY_A = /^[A-Za-z0-9]{8}$/;
const KEY_B = /^[A-Za-z0-9]{24}$/;
const ROUNDS = 10000;

/**
 * ApiError `link_incomplete` for no such key; `open` rejects with `not_authentic`.
 * @param {string} fragment
 * @param {string | null} [passcode]
 */
export async function unlock(fragment, passcode) {
  if (!KEY_B.test(fragment)) throw new ApiError("link_incomplete");
  return {
    proof: passcode ? { passcodeHash: await rawPasscodeHash(passcode) } : {},
    /**
     * @param {Uint8Array} blob
     * @param {Uint8Array} iv
     */
    async open(blob, iv) {
      const payload = payloadOf(blob, iv);
      const innerIv = bytesOf(payload.iv, 12);
      const whole = utf8(textLike(payload.key, KEY_A) + fragment);
      const key = await stretched(whole, bytesOf(payload.salt, 16), ROUNDS);
      /** @param {unknown} sealed */
      const opened = async (sealed) => openRaw(key, innerIv, bytesOf(sealed));
      const attached = listOf(payload.attachments).map(async (each) => ({
        name: textLike(each?.name, /^/),
        body: await opened(each?.data),
      }));
      const [body, ...files] = await Promise.all([opened(payload.content), ...attached]);
      return { type: "text", body, files };
    },
  };
}

/**
 * @param {unknown} value
 * @returns {any[]}
 */
function listOf(value = []) {
  if (!Array.isArray(value)) throw new ApiError("not_authentic");
  return value;
}
