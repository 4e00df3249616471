/**
 * Opens what somebody else's code sealed through the documented API: format "raw". The fragment is an AES key of 16 or
 * 32 bytes, the ciphertext carries its tag, nothing else is bound to it; the passcode is known to the server as plain
 * SHA-256. Whether the body is text is for whoever shows it to find out.
 */
// @ts-check
import { openRaw, rawPasscodeHash } from "../envelope.js";
import { rawKeyOf } from "../link.js";

/**
 * ApiError `link_incomplete` for no such key; `open` rejects with `not_authentic` where it was encrypted otherwise.
 * @param {string} fragment
 * @param {string | null} [passcode]
 */
export async function unlock(fragment, passcode) {
  const key = rawKeyOf(fragment);
  return {
    proof: passcode ? { passcodeHash: await rawPasscodeHash(passcode) } : {},
    /**
     * @param {Uint8Array} blob
     * @param {Uint8Array} iv
     */
    async open(blob, iv) {
      return { type: "text", name: undefined, mediaType: undefined, body: await openRaw(key, iv, blob) };
    },
  };
}
