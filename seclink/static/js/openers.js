/**
 * Chooses the opener of a link: the module of its format, loaded when a link needs it.
 *
 * The link decides its format, not the server. A fragment with a valid checksum of SecLink's own opens as seclink/v1
 * only, and the path of another system's link opens as that system's format only. If the format that the server names
 * does not fit the link, nothing is revealed: it would spend a view on a key that cannot open the payload.
 */
// @ts-check
import { FORMAT } from "./envelope.js";
import { FORMATS, NATIVE_FORMATS } from "./formats.js";
import { isOwnKey } from "./link-key.js";
import { ApiError } from "./api-error.js";

/**
 * @typedef {import("./formats.js").Format} Format
 * @typedef {import("./bytes.js").Bytes} Bytes
 * @typedef {{access?: string, passcodeHash?: string}} Proof sent to the server with `reveal` and `burn`
 * @typedef {{name: string, body: Bytes}} File
 * @typedef {{type: string, name?: string, mediaType?: string, body: Bytes, files?: File[],
 *   stream?: import("./file-header.js").FileHeader}} Opened `files`: in the payload; `stream`: beside it, in chunks
 * @typedef {{proof: Proof, open: (blob: Bytes, iv: Bytes) => Promise<Opened>}} Unlocked
 * @typedef {{LOCAL_PASSCODE?: boolean,
 *   locate?: (fragment: string) => Promise<string>,
 *   unlock: (fragment: string, passcode?: string | null) => Promise<Unlocked>}} Opener
 *   LOCAL_PASSCODE: the passcode is part of the key and the server does not know it. `open` rejects a wrong one with
 *   `passcode_wrong`, and another one can be tried on the same payload. `locate` derives the id from the key.
 */

/**
 * Return the module that opens a link; its `unlock(fragment, passcode)` gives `{proof, open}`. Rejects with ApiError
 * `link_incomplete` if the link cannot have the format, or its fragment is no key of that format. Sends no request to
 * the API.
 * @param {string} fragment
 * @param {string} format as named by the server
 * @param {string[]} formats possible for the link's path
 * @returns {Promise<Opener>}
 */
export async function openerFor(fragment, format, formats = NATIVE_FORMATS) {
  const row = FORMATS.find((candidate) => candidate.format === format);
  if (!row || !formats.includes(format) || (format !== FORMAT && (await isOwnKey(fragment)))) {
    throw new ApiError("link_incomplete");
  }
  const opener = await loadOpener(row);
  await opener.unlock(fragment, null); // rejects an incomplete key
  return opener;
}

/**
 * Return whether the fragment is a key of one of the formats. Sends no request to the API.
 * @param {string} fragment
 * @param {string[]} formats
 */
export async function isKey(fragment, formats) {
  for (const format of formats) {
    try {
      return Boolean(await openerFor(fragment, format, formats));
    } catch (error) {
      if (/** @type {any} */ (error)?.code !== "link_incomplete") throw error;
    }
  }
  return false;
}

/**
 * Load the module of a format. Rejects with ApiError `unreachable`.
 * @param {Format} row
 */
export async function loadOpener({ load }) {
  try {
    return await load();
  } catch {
    throw new ApiError("unreachable");
  }
}
