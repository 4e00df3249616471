/**
 * What pages and client module share: sealing a secret and handing it over.
 *
 * A link's fragment, a passcode and a content key never enter a request: only what envelope.js derives from them does.
 */
// @ts-check
import { toBase64, utf8 } from "./bytes.js";
import { FORMAT, IV_BYTES, derive, seal } from "./envelope.js";
import { build, drawKey, randomBytes } from "./link.js";
import { ApiError } from "./api-error.js";

const TYPES = ["text", "redirect", "neogram", "file"];

/**
 * Seal `content` here and hand the ciphertext to the server. ApiError `bad_request` names what cannot be sealed.
 * @param {ReturnType<import("./api.js").api>} api
 * @param {string | Uint8Array} content
 * @param {{type?: string, passcode?: string | null, expiresIn?: number, maxViews?: number | null,
 *   publicNote?: string | null, label?: string | null, name?: string, mediaType?: string}} [terms]
 *   `expiresIn` in seconds, `maxViews` null for any number, `publicNote` is shown before revealing, `label` to the
 *   sender alone; a redirect's content is a web address, a file has its `name`
 * @returns {Promise<{link: string, linkId: string, receiptId: string, manageToken: string, expiresAt: number,
 *   maxViews: number | null}>} `expiresAt` in epoch milliseconds; `link` carries the key and exists nowhere else
 */
export async function create(api, content, terms = {}) {
  const { type = "text", passcode, expiresIn = 86400, maxViews = 1, publicNote, label } = terms;
  const body = bodyOf(content, type);
  const header = headerOf(type, terms);
  const key = await drawKey();
  const keys = await derive(key, passcode);
  const iv = randomBytes(IV_BYTES);
  const { shareUrl, ...made } = await api.create({
    encryptedBlob: toBase64(await seal(keys.contentKey, iv, header, body)),
    iv: toBase64(iv),
    format: FORMAT,
    accessHash: keys.accessHash,
    passcodeHash: keys.passcodeHash || undefined,
    expiresIn,
    maxViews,
    publicNote: publicNote || undefined,
    label: label || undefined,
  });
  return { link: await build(shareUrl, key), ...made };
}

/**
 * The address of a redirect, or null for what must not be one: only http and https, printable, spelled out from its
 * scheme to its host. A user before the host is allowed, so whoever shows it shows the host too.
 * @param {string} text
 * @returns {URL | null}
 */
export function redirectUrl(text) {
  if (!/^https?:\/\/[^/?#]/i.test(text) || /[\p{C}\p{Z}\\]/u.test(text)) return null;
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/**
 * @param {string | Uint8Array} content
 * @param {string} type
 */
function bodyOf(content, type) {
  if (type === "redirect" && !redirectUrl(String(content))) throw new ApiError("bad_request", { fields: ["text"] });
  return typeof content === "string" ? utf8(content) : content;
}

/**
 * @param {string} type
 * @param {{name?: string, mediaType?: string}} file
 */
function headerOf(type, { name = "", mediaType = "application/octet-stream" }) {
  if (!TYPES.includes(type)) throw new ApiError("bad_request", { fields: ["type"] });
  if (type !== "file") return { type };
  const base = name.split(/[/\\]/).pop() || "";
  if (["", ".", ".."].includes(base) || !utf8(base, "name")) throw new ApiError("bad_request", { fields: ["name"] });
  return { type, name: base, mediaType };
}
