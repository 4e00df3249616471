/**
 * Opens secrets that Sharokey's clients sealed: format "sharokey". One half of the key is in the payload, the other in
 * the fragment.
 *
 *     payload   {"content", "iv", "salt": base64, "key": keyA, "attachments"?: [{"name", "data": base64}, ...]}
 *     key       PBKDF2-HMAC-SHA-256(keyA || keyB, salt, 10000, 32)
 *     content   AES-256-GCM(key, iv, text)
 *
 * Its clients seal attachments under the same key and iv. If one of them does not open, nothing does. The password
 * guards the release and is no part of the key.
 */
// @ts-check
import { utf8 } from "../bytes.js";
import { openRaw, rawPasscodeHash } from "../open-envelope.js";
import { ApiError } from "../api-error.js";
import { decodeBase64, matchingText, parsePayload, pbkdf2 } from "./foreign.js";

const KEY_A = /^[A-Za-z0-9]{8}$/;
const KEY_B = /^[A-Za-z0-9]{24}$/;
const ITERATIONS = 10000;

/**
 * Reject with ApiError `link_incomplete` for a fragment that is no half of a key. `open` rejects with `not_authentic`.
 * @param {string} fragment
 * @param {string | null} [passcode]
 */
export async function unlock(fragment, passcode) {
  if (!KEY_B.test(fragment)) throw new ApiError("link_incomplete");
  return {
    proof: passcode ? { passcodeHash: await rawPasscodeHash(passcode) } : {},
    /**
     * @param {import("../bytes.js").Bytes} blob
     * @param {import("../bytes.js").Bytes} iv
     */
    async open(blob, iv) {
      const payload = parsePayload(blob, iv);
      const innerIv = decodeBase64(payload.iv, 12);
      const password = utf8(matchingText(payload.key, KEY_A) + fragment);
      const key = await pbkdf2(password, decodeBase64(payload.salt, 16), ITERATIONS);
      /** @param {unknown} sealed */
      const decrypt = async (sealed) => openRaw(key, innerIv, decodeBase64(sealed));
      const attachments = listOf(payload.attachments).map(async (attachment) => ({
        name: matchingText(attachment?.name, /^/),
        body: await decrypt(attachment?.data),
      }));
      const [body, ...files] = await Promise.all([decrypt(payload.content), ...attachments]);
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
