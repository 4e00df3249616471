/**
 * Reads the secret's id and fragment from the page's URL or from a pasted text, for native links and for those of the
 * dialects:
 *
 *     /{12}#{fragment}              seclink/v1, raw or Sharokey
 *     /enigmacrypt/s/{8}            no fragment: the whole key is derived from the password
 *     /seecret/_{6}#{fragment}
 *     /scrt-link/s#{36 characters}  the id is SHA-256 of the key's last 8 characters
 *
 * The path of the public URL comes before that.
 */
// @ts-check
import { FORMATS, NATIVE_FORMATS, NATIVE_ID, pagePath } from "./formats.js";
import { isKey, loadOpener } from "./openers.js";
import { findLink, readUrl } from "./pasted-link.js";
import { ApiError } from "./api-error.js";

/**
 * @typedef {import("./formats.js").Format} Format
 * @typedef {import("./pasted-link.js").Form & {row?: Format}} Form
 * @typedef {{base: string, url: string, linkId: string, fragment: string, formats: string[], isWhole: boolean,
 *   isExposed: boolean}} SecretUrl `base` is the server's public URL, `url` the link without its fragment, `formats` are
 *   those possible for the path; `fragment` is empty if the link is not whole, or its kind has none; `isExposed`:
 *   servers on its way may have read the key
 */

/** @type {Form[]} */
const FORMS = [
  ...FORMATS.filter(({ page }) => page).map((row) => ({
    row,
    path: pagePath(row),
    isKey: row.hasKey === false ? null : (/** @type {string} */ text) => isKey(text, [row.format]),
  })),
  { path: `/(${NATIVE_ID})`, isKey: (text) => isKey(text, NATIVE_FORMATS) },
];

/**
 * Return the `linkId` for the API, and the fragment as the openers take it. Rejects with ApiError `link_incomplete` if
 * there is no id.
 * @param {{origin: string, pathname: string, search?: string, hash: string}} location
 */
export async function secretFromUrl({ origin, pathname, search = "", hash }) {
  return secretOf(await readUrl(`${origin}${pathname}${search}${hash}`, FORMS));
}

/**
 * Likewise for the link in a pasted text.
 * @param {string} text
 */
export async function secretFromText(text) {
  return secretOf(await findLink(text, FORMS));
}

/**
 * @param {import("./pasted-link.js").Match | null} match
 * @returns {Promise<SecretUrl>}
 */
async function secretOf(match) {
  if (!match) throw new ApiError("link_incomplete");
  const { base, url, id, key: fragment, isExposed } = match;
  const { row, isKey } = /** @type {Form} */ (match.form);
  const linkId = row ? `${row.format}.${id ?? (await locate(row, fragment))}` : id;
  const formats = row ? [row.format] : NATIVE_FORMATS;
  return { base, url, linkId, fragment, formats, isWhole: Boolean(fragment) || !isKey, isExposed };
}

/**
 * @param {Format} row
 * @param {string} fragment
 */
async function locate(row, fragment) {
  const { locate } = await loadOpener(row);
  if (!locate) throw new ApiError("link_incomplete");
  return locate(fragment);
}
