/**
 * Opens what the server sealed for a client of Seecret.it on arrival: format "seecret". It is an envelope of ours under
 * a key that stands in the fragment alone, 32 bytes as base64url; a password is for the server and no part of the key.
 */
// @ts-check
import { fromAnyBase64, toBase64url } from "../bytes.js";
import { derive, open, rawPasscodeHash } from "../envelope.js";
import { ApiError } from "../api-error.js";

const KEY = /^[A-Za-z0-9_-]{43}$/;

/**
 * ApiError `link_incomplete` for no such key; `open` rejects with `not_authentic`.
 * @param {string} fragment
 * @param {string | null} [passcode]
 */
export async function unlock(fragment, passcode) {
  const { access, contentKey } = await derive(keyOf(fragment));
  return {
    proof: passcode ? { access, passcodeHash: await rawPasscodeHash(passcode) } : { access },
    /**
     * @param {Uint8Array} blob
     * @param {Uint8Array} iv
     */
    async open(blob, iv) {
      const { header, body } = await open(contentKey, iv, blob);
      if (header.type !== "text") throw new ApiError("not_authentic");
      return { type: "text", body };
    },
  };
}

/** @param {string} fragment */
function keyOf(fragment) {
  const key = KEY.test(fragment) ? fromAnyBase64(fragment) : null;
  // The last character has bits to spare: written again, it must come out the same.
  if (!key || toBase64url(key) !== fragment) throw new ApiError("link_incomplete");
  return key;
}
