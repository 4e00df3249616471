/**
 * Which secret a page is about, by its address alone: ours, and those of the systems whose links SecLink answers to.
 *
 *     /{12}#{fragment}              one of ours, raw, or Sharokey's
 *     /enigmacrypt/s/{8}            the password is all there is to it
 *     /seecret/_{6}#{fragment}
 *     /scrt-link/s#{36 characters}  the id is in the fragment: SHA-256 of the key's last 8 characters
 *
 * Whatever path the server lies below comes before that and does not matter.
 */
// @ts-check
import { toHex, utf8 } from "./bytes.js";
import { sha256 } from "./envelope.js";
import { cleaned } from "./link.js";
import { NATIVE } from "./openers.js";
import { ApiError } from "./api-error.js";

const SCRT_LINK = /\/scrt-link\/s$/;
// `.` is one of its characters; only what cannot belong to a key may follow it, or the dot that ends a sentence.
const SCRT_LINK_KEY = /^#([A-Za-z0-9$~_.-]{36})(?![A-Za-z0-9$~_-])/;
const ID_STARTS_AT = 28;

/** @type {[RegExp, string, string[]][]} where the id stands in a path, what the server calls it, what it can be */
const PATHS = [
  [/\/enigmacrypt\/s\/([A-Za-z0-9]{8})$/, "enigmacrypt.", ["enigmacrypt"]],
  [/\/seecret\/_([A-Za-z0-9]{6})$/, "seecret.", ["seecret"]],
  [/\/([A-Za-z0-9]{12})$/, "", NATIVE],
];

/**
 * The secret's `linkId` for the API, the fragment as its openers take it, and the formats it can have. ApiError
 * `link_incomplete` where there is no id.
 * @param {{pathname: string, hash: string}} location
 * @returns {Promise<{linkId: string, fragment: string, formats: string[]}>}
 */
export async function secretFromUrl({ pathname, hash }) {
  if (SCRT_LINK.test(pathname)) return scrtLink(hash);
  for (const [path, prefix, formats] of PATHS) {
    const id = path.exec(pathname)?.[1];
    if (id) return { linkId: prefix + id, fragment: cleaned(hash), formats };
  }
  throw new ApiError("link_incomplete");
}

/** @param {string} hash */
async function scrtLink(hash) {
  const key = SCRT_LINK_KEY.exec(hash)?.[1];
  if (!key) throw new ApiError("link_incomplete");
  const id = toHex(await sha256(utf8(key.slice(ID_STARTS_AT))));
  return { linkId: `scrt-link.${id}`, fragment: key, formats: ["scrt-link"] };
}
