/**
 * Who opens a link: one module for each format, loaded when a link needs it.
 *
 * What kind of fragment a link has was settled when it was made. So a server that calls a secret something else gets
 * nowhere: a fragment that checks out as ours opens what is ours and nothing else, and a path of another system's has
 * that system's format only. Where they disagree nothing is revealed: it would be spent on a key that is not its own.
 */
// @ts-check
import { FORMAT } from "./envelope.js";
import { keyOf } from "./link.js";
import { ApiError } from "./api-error.js";

/**
 * @typedef {{access?: string, passcodeHash?: string}} Proof what `reveal` and `burn` show the server
 * @typedef {{name: string, body: Uint8Array}} File
 * @typedef {{type: string, name?: string, mediaType?: string, body: Uint8Array, files?: File[]}} Opened
 * @typedef {{proof: Proof, open: (blob: Uint8Array, iv: Uint8Array) => Promise<Opened>}} Unlocked
 * @typedef {{LOCAL_PASSCODE?: boolean,
 *   unlock: (fragment: string, passcode?: string | null) => Promise<Unlocked>}} Opener
 *   LOCAL_PASSCODE: there is a passcode that the server knows nothing of; `open` rejects a wrong one, and may be tried
 *   again with another on what came
 */

/** What a link of ours, a path of 12 characters, can be. */
export const NATIVE = ["raw", "sharokey", FORMAT];

/** @type {[string, () => Promise<Opener>][]} */
const OPENERS = [
  [FORMAT, () => import("./openers/seclink-v1.js")],
  ["raw", () => import("./openers/raw.js")],
  ["scrt-link", () => import("./openers/scrt-link.js")],
  ["sharokey", () => import("./openers/sharokey.js")],
  ["seecret", () => import("./openers/seecret.js")],
  ["enigmacrypt", () => import("./openers/enigmacrypt.js")],
];

/**
 * The module that opens this link: `await (await unlock(fragment, format)).unlock(fragment, passcode)` gives
 * `{proof, open}`. ApiError `link_incomplete` where the fragment is none that the server's format has, or the path none
 * for it.
 * @param {string} fragment
 * @param {string} format
 * @param {string[]} formats those that the link's path can have
 * @returns {Promise<Opener>}
 */
export async function unlock(fragment, format, formats = NATIVE) {
  const known = formats.includes(format) && new Map(OPENERS).get(format);
  if (!known || (format !== FORMAT && (await isOurs(fragment)))) throw new ApiError("link_incomplete");
  const opener = await known().catch(lost);
  await opener.unlock(fragment, null); // is it whole? nothing is asked of anybody
  return opener;
}

/**
 * ApiError `link_incomplete` for what no link of these formats ends in. Nothing is asked of anybody.
 * @param {string} fragment
 * @param {string[]} formats
 */
export async function checkWhole(fragment, formats) {
  for (const format of formats) {
    try {
      return void (await unlock(fragment, format, formats));
    } catch (error) {
      if (/** @type {any} */ (error)?.code !== "link_incomplete") throw error;
    }
  }
  throw new ApiError("link_incomplete");
}

/** @param {string} fragment */
async function isOurs(fragment) {
  try {
    return Boolean(await keyOf(fragment));
  } catch {
    return false;
  }
}

/** @returns {never} */
function lost() {
  throw new ApiError("unreachable");
}
