/**
 * Opens secrets that other programs sealed for the documented API: format "raw". The fragment is an AES key of 16 or
 * 32 bytes, the ciphertext carries its tag, and nothing else is authenticated. The server knows the passcode as plain
 * SHA-256. The page decides whether the body is text.
 */
// @ts-check
import { rawKeyOf } from "../link-key.js";
import { openRaw, rawPasscodeHash } from "../open-envelope.js";

/**
 * Reject with ApiError `link_incomplete` for a fragment that is no such key. `open` rejects with `not_authentic`.
 * @param {string} fragment
 * @param {string | null} [passcode]
 */
export async function unlock(fragment, passcode) {
  const key = rawKeyOf(fragment);
  return {
    proof: passcode ? { passcodeHash: await rawPasscodeHash(passcode) } : {},
    /**
     * @param {import("../bytes.js").Bytes} blob
     * @param {import("../bytes.js").Bytes} iv
     */
    async open(blob, iv) {
      return { type: "text", name: undefined, mediaType: undefined, body: await openRaw(key, iv, blob) };
    },
  };
}
