/**
 * Reads the secret's id and fragment from the page's URL, for native links and for those of the dialects:
 *
 *     /{12}#{fragment}              seclink/v1, raw or Sharokey
 *     /enigmacrypt/s/{8}            no fragment: the whole key is derived from the password
 *     /seecret/_{6}#{fragment}
 *     /scrt-link/s#{36 characters}  the id is SHA-256 of the key's last 8 characters
 *
 * The path of the public URL comes before that and is ignored.
 */
// @ts-check
import { FORMATS, matchPage, NATIVE_FORMATS, NATIVE_PATH } from "./formats.js";
import { cleaned } from "./link.js";
import { loadOpener } from "./openers.js";
import { ApiError } from "./api-error.js";

/** @typedef {{linkId: string, fragment: string, formats: string[]}} SecretUrl `formats`: those possible for the path */

/**
 * Return the `linkId` for the API, and the fragment as the openers take it. Rejects with ApiError `link_incomplete` if
 * there is no id.
 * @param {{pathname: string, hash: string}} location
 * @returns {Promise<SecretUrl>}
 */
export async function secretFromUrl({ pathname, hash }) {
  for (const row of FORMATS) {
    const match = matchPage(row, pathname);
    if (match) {
      const { id, fragment } = match[1] ? { id: match[1], fragment: cleaned(hash) } : await locate(row, hash);
      return { linkId: `${row.format}.${id}`, fragment, formats: [row.format] };
    }
  }
  const linkId = NATIVE_PATH.exec(pathname)?.[1];
  if (linkId) return { linkId, fragment: cleaned(hash), formats: NATIVE_FORMATS };
  throw new ApiError("link_incomplete");
}

/**
 * @param {import("./formats.js").Format} row
 * @param {string} hash
 */
async function locate(row, hash) {
  const { locate } = await loadOpener(row);
  if (!locate) throw new ApiError("link_incomplete");
  return locate(hash);
}
