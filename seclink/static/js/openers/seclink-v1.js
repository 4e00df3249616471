/**
 * Opens what SecLink sealed: format "seclink/v1". The link says how, whatever the server says.
 */
// @ts-check
import { derive, open } from "../envelope.js";
import { keyOf } from "../link.js";

/**
 * ApiError `link_incomplete` before anything is asked of anybody; `open` rejects with `not_authentic`.
 * @param {string} fragment
 * @param {string | null} [passcode]
 */
export async function unlock(fragment, passcode) {
  const keys = await derive(await keyOf(fragment), passcode);
  return {
    proof: keys.passcodeHash ? { access: keys.access, passcodeHash: keys.passcodeHash } : { access: keys.access },
    /**
     * @param {Uint8Array} blob
     * @param {Uint8Array} iv
     */
    async open(blob, iv) {
      const { header, body } = await open(keys.contentKey, iv, blob);
      return { type: header.type, name: word(header.name), mediaType: word(header.mediaType), body };
    },
  };
}

/** @param {unknown} value */
function word(value) {
  return typeof value === "string" ? value : undefined;
}
