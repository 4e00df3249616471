/**
 * Opens secrets that the server sealed for Seecret.it's clients on arrival: format "seecret". The payload is an
 * envelope of seclink/v1 under a key that is only in the fragment, 32 bytes as base64url. A password guards the release
 * and is no part of the key.
 */
// @ts-check
import { fromAnyBase64, toBase64url } from "../bytes.js";
import { derive } from "../envelope.js";
import { open, rawPasscodeHash } from "../open-envelope.js";
import { ApiError } from "../api-error.js";

const KEY = /^[A-Za-z0-9_-]{43}$/;

/**
 * Reject with ApiError `link_incomplete` for a fragment that is no key. `open` rejects with `not_authentic`.
 * @param {string} fragment
 * @param {string | null} [passcode]
 */
export async function unlock(fragment, passcode) {
  const { access, contentKey } = await derive(decodeKey(fragment));
  return {
    proof: passcode ? { access, passcodeHash: await rawPasscodeHash(passcode) } : { access },
    /**
     * @param {import("../bytes.js").Bytes} blob
     * @param {import("../bytes.js").Bytes} iv
     */
    async open(blob, iv) {
      const { header, body } = await open(contentKey, iv, blob);
      if (header.type !== "text") throw new ApiError("not_authentic");
      return { type: "text", body };
    },
  };
}

/** @param {string} fragment */
function decodeKey(fragment) {
  const key = KEY.test(fragment) ? fromAnyBase64(fragment) : null;
  // The last character has unused bits: only the canonical encoding is accepted.
  if (!key || toBase64url(key) !== fragment) throw new ApiError("link_incomplete");
  return key;
}
