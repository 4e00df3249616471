/**
 * Creating a secret, for the pages and the client module: encrypt the content here, send the ciphertext to the server.
 *
 * The link's fragment, the passcode and the content key are never sent: only values that envelope.js derives from them.
 */
// @ts-check
import { ApiError } from "./api-error.js";
import { toBase64, utf8 } from "./bytes.js";
import { FORMAT, IV_BYTES, derive, seal } from "./envelope.js";
import { build, drawKey, randomBytes } from "./link.js";
import { passcodeFault } from "./passcode.js";

/**
 * @typedef {{type?: string, passcode?: string | null, expiresIn?: number, maxViews?: number | null,
 *   publicNote?: string | null, label?: string | null, name?: string, mediaType?: string, members?: object}} SecretOptions
 */

const TYPES = ["text", "redirect", "neogram", "file"];

/**
 * Encrypt `content`, create the secret and return its link. Rejects with ApiError `bad_request`, which names the
 * invalid fields, before anything is sent.
 * @param {ReturnType<import("./api.js").api>} api
 * @param {string | Uint8Array} content
 * @param {SecretOptions} [options]
 *   `expiresIn` in seconds, by default as long as the server suggests; `maxViews` null for any number; `publicNote` is shown before revealing, `label` only to the
 *   sender; the content of a redirect is a URL; a file has its `name`
 * @returns {Promise<{link: string, linkId: string, receiptId: string, manageToken: string, expiresAt: number,
 *   maxViews: number | null}>} `expiresAt` in epoch milliseconds; only `link` holds the key
 */
export async function createSecret(api, content, options = {}) {
  const { body, key } = await sealSecret(content, options);
  const { shareUrl, ...created } = await api.create(body);
  return { link: await build(shareUrl, key), ...created };
}

/**
 * Encrypt `content` and return the body of the request that creates the secret, and the link's key.
 * @param {string | Uint8Array} content
 * @param {SecretOptions} options `members`: further members of the envelope's header
 */
export async function sealSecret(content, options) {
  const { type = "text", passcode, expiresIn, maxViews = 1, publicNote, label } = options;
  const plain = bodyOf(content, type);
  if (passcode && passcodeFault(passcode)) throw new ApiError("bad_request", { fields: ["passcode"] });
  const header = { ...headerOf(type, options), ...options.members };
  const key = await drawKey();
  const keys = await derive(key, passcode);
  const iv = randomBytes(IV_BYTES);
  const body = {
    encryptedBlob: toBase64(await seal(keys.contentKey, iv, header, plain)),
    iv: toBase64(iv),
    format: FORMAT,
    accessHash: keys.accessHash,
    passcodeHash: keys.passcodeHash || undefined,
    ...(expiresIn ? { expiresIn } : { expiryType: "view_once" }),
    maxViews,
    publicNote: publicNote || undefined,
    label: label || undefined,
  };
  return { body, key };
}

/**
 * Return the URL of a redirect, or null if the text may not be one: only http and https, printable characters, written
 * out from scheme to host. A user before the host is allowed, so the reader's page shows the host by itself.
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
  return typeof content === "string" ? utf8(content) : /** @type {import("./bytes.js").Bytes} */ (content);
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
