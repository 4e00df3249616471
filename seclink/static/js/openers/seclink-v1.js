/**
 * Opens secrets that SecLink's own clients sealed: format "seclink/v1".
 */
// @ts-check
import { derive } from "../envelope.js";
import { namesFiles, readFileHeader } from "../file-header.js";
import { keyOf } from "../link-key.js";
import { open } from "../open-envelope.js";
import { cleaned } from "../passcode.js";

/**
 * Reject with ApiError `link_incomplete` for a fragment that is no key. `open` rejects with `not_authentic`.
 * @param {string} fragment
 * @param {string | null} [passcode]
 */
export async function unlock(fragment, passcode) {
  const keys = await derive(await keyOf(fragment), passcode && cleaned(passcode));
  return {
    proof: keys.passcodeHash ? { access: keys.access, passcodeHash: keys.passcodeHash } : { access: keys.access },
    /**
     * @param {import("../bytes.js").Bytes} blob
     * @param {import("../bytes.js").Bytes} iv
     */
    async open(blob, iv) {
      const { header, body } = await open(keys.contentKey, iv, blob);
      const { type, name, mediaType } = header;
      const texts = { name: textOrUndefined(name), mediaType: textOrUndefined(mediaType) };
      return { type, ...texts, body, ...(namesFiles(header) ? { stream: readFileHeader(header) } : {}) };
    },
  };
}

/** @param {unknown} value */
function textOrUndefined(value) {
  return typeof value === "string" ? value : undefined;
}
