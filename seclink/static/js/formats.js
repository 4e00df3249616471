/**
 * The table of formats: the module that opens each, and the links that lead to it.
 *
 * `id` is the form of a dialect's own ids, as in the server's table (`seclink/config/dialects.py`): the linkId is
 * `FORMAT.ID`. `page` is the path of its links, below `/FORMAT`; `{id}` stands for the id, and without `{id}` the
 * opener's `locate` derives it from the fragment. With `hasKey` false, no fragment belongs to the links. A format
 * without an id has native links: `/LINKID#FRAGMENT`.
 */
// @ts-check

/**
 * @typedef {import("./openers.js").Opener} Opener
 * @typedef {{format: string, id?: string, page?: string, hasKey?: boolean, load: () => Promise<Opener>}} Format
 */

/** @type {Format[]} */
export const FORMATS = [
  { format: "raw", load: () => import("./openers/raw.js") },
  { format: "sharokey", load: () => import("./openers/sharokey.js") },
  { format: "seclink/v1", load: () => import("./openers/seclink-v1.js") },
  { format: "scrt-link", id: "[0-9a-f]{64}", page: "/s", load: () => import("./openers/scrt-link.js") },
  { format: "seecret", id: "[A-Za-z0-9]{6}", page: "/_{id}", load: () => import("./openers/seecret.js") },
  {
    format: "enigmacrypt",
    id: "[A-Za-z0-9]{8}",
    page: "/s/{id}",
    hasKey: false,
    load: () => import("./openers/enigmacrypt.js"),
  },
];

/** The formats that a native link can have. */
export const NATIVE_FORMATS = FORMATS.filter(({ id }) => !id).map(({ format }) => format);

export const NATIVE_ID = "[A-Za-z0-9]{12}";

/**
 * Return the pattern of the path of a dialect's page, whose group is the id.
 * @param {Format} row
 */
export function pagePath({ format, id, page }) {
  return `/${format}${page?.replace("{id}", `(${id})`)}`;
}
