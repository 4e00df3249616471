/**
 * The client module, for pages and programs of other origins: `import { scrtLink, seclink } from
 * "{server}/api/v1/client-module"`. It has two clients, which share the pages' code:
 *
 *     scrtLink(key)               the client module that scrt.link documents, member by member
 *     seclink({ token, server })  the whole native API
 *
 * Requests go to the server that the module was loaded from, unless an option names another. A link is revealed at the
 * server in the link, which never gets the API key. Calls reject with `ApiError`: `code` for programs, an English
 * `message` for people. `scrtLink` resolves to `{error}` instead, as the original does.
 */
// @ts-check
import { ApiError } from "./api-error.js";
import { SERVER_URL, api } from "./api.js";
import { fromUtf8 } from "./bytes.js";
import { openerFor } from "./openers.js";
import { createSecret } from "./seal.js";
import { secretFromText } from "./secret-url.js";

export { ApiError as Refusal }; // the name that importing programs know

const DAY_MS = 86400000;
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];
const SCRT_LINK_OPTIONS = ["secretType", "password", "expiresIn", "publicNote", "host", "viewLimit"];
const SCRT_LINK_TYPES = ["text", "redirect", "neogram"];
const NO_RESPONSE = ["unreachable", "bad_answer", "insecure_context"];
const LIST_OPTIONS = ["status", "search", "page", "limit"];
const CREATE_OPTIONS = ["type", "passcode", "expiresIn", "maxViews", "publicNote", "label", "name", "mediaType"];
const PASSCODE_OPTIONS = ["passcode", "password"];
const TEXT_OPTIONS = [...PASSCODE_OPTIONS, "publicNote", "label", "name", "mediaType"];
const MESSAGES = new Map([
  ["bad_request", "The request is not valid"],
  ["key_invalid", "The API key is not valid"],
  ["key_required", "An API key is required"],
  ["access_denied", "The key is not this secret's; no view was spent"],
  ["passcode_required", "A passcode is required; no view was spent"],
  ["passcode_wrong", "The passcode is wrong; no view was spent"],
  ["passcode_locked", "Too many wrong passcodes; try again later"],
  ["forbidden", "The API key does not permit this"],
  ["not_found", "There is no such secret or receipt"],
  ["not_active", "The secret has ended and cannot be changed"],
  ["too_many_changes", "The secret was changed a hundred times and cannot be changed any more"],
  ["gone", "The secret is gone"],
  ["payload_too_large", "The secret is too large"],
  ["rate_limited", "Too many requests; try again later"],
  ["busy", "The server is busy; nothing was done, try again"],
  ["storage", "The server cannot store anything now; nothing was done, try again"],
  ["storage_full", "The server has no room for more secrets"],
  ["unreachable", "The server cannot be reached"],
  ["bad_answer", "The response is not from SecLink; check the server's address"],
  ["link_incomplete", "This link is incomplete or was changed; no view was spent"],
  ["not_authentic", "The secret cannot be decrypted: it is damaged, or the key is wrong"],
  ["insecure_context", "WebCrypto is not available: load the page over https or from localhost"],
]);

/** The types of scrt.link's secrets, under its names. Files and snaps are refused: its documented API has none. */
export const SecretType = Object.freeze({
  TEXT: "text",
  FILE: "file",
  REDIRECT: "redirect",
  SNAP: "snap",
  NEOGRAM: "neogram",
});

/**
 * Return a client with the interface of scrt.link's.
 * @param {string} key the API key
 */
export function scrtLink(key) {
  return {
    /**
     * Encrypt a text and create a secret.
     * @param {string} text a URL if the type is "redirect"
     * @param {{secretType?: "text" | "redirect" | "neogram", password?: string, expiresIn?: number,
     *   publicNote?: string, host?: string, viewLimit?: number}} [options] `expiresIn` in milliseconds, by default
     *   a day; `publicNote` is shown before revealing; `host` is another SecLink server, "host" or "host:port/path"
     * @returns {Promise<{secretLink: string, receiptId: string, expiresIn: number, expiresAt: string} |
     *   {error: string, code: string, fields: string[]}>} `expiresIn` in milliseconds, `expiresAt` as ISO 8601; like the
     *   original, it rejects only if no server of this kind responds
     */
    createSecret: (text, options = {}) => orError(withMessage(() => createAsScrtLink(key, text, options))),
  };
}

/**
 * Return a client of the native API. Lifetimes are seconds, instants epoch milliseconds.
 * @param {{token?: string, server?: string}} [options] `token`: an API key, for calls that need one; `server`:
 *   "https://host" or "https://host/path"
 */
export function seclink({ token, server } = {}) {
  const client = () => api({ server: serverUrl(server), token });
  return {
    /**
     * Encrypt and create a secret. `content` is a string, or a Uint8Array with type "file" and a `name`.
     * @param {string | Uint8Array} content
     * @param {{type?: "text" | "redirect" | "neogram" | "file", passcode?: string, expiresIn?: number,
     *   maxViews?: number | null, publicNote?: string, label?: string, name?: string, mediaType?: string}} [options]
     *   by default one view within the server's lifetime; `maxViews` null: any number; tell the `passcode` elsewhere
     * @returns {Promise<{link: string, linkId: string, receiptId: string, manageToken: string, expiresAt: number,
     *   maxViews: number | null}>}
     */
    createSecret: (content, options = {}) => withMessage(async () => {
      checkContent(content, checkNames(CREATE_OPTIONS, options), "content");
      return createSecret(client(), content, options);
    }),
    /**
     * Spend a view and decrypt the secret. `link_incomplete`, `passcode_required`, `passcode_wrong` (with
     * `attemptsLeft`) and `bad_request` for a passcode where none is set spend nothing; `gone` has `state` and
     * `endedAt`. A `not_authentic` has the ciphertext of the spent view in `encryptedBlob` and `iv`.
     * @param {string} link as it was pasted, with characters that mail clients add to it
     * @param {{passcode?: string}} [options]
     * @returns {Promise<{type: string, text: string | null, body: Uint8Array, name?: string, mediaType?: string,
     *   viewsLeft: number | null, expiresAt: number, isKeyExposed: boolean}>} `text` is null if the body is not UTF-8;
     *   `isKeyExposed`: servers on the link's way may have read its key
     */
    revealSecret: (link, options = {}) =>
      withMessage(async () => {
        const { passcode } = checkNames(["passcode"], options);
        checkTexts({ link, passcode: passcode ?? "" });
        return reveal(serverUrl(server), link, passcode);
      }),
    /**
     * Return one page of the API key's receipts, newest first. `search` looks in labels and notes.
     * @param {{status?: "active" | "revealed" | "burned" | "expired", search?: string, page?: number,
     *   limit?: number}} [filter] `limit` 1 to 100, by default 50
     * @returns {Promise<{data: object[], pagination: {currentPage: number, perPage: number, total: number,
     *   lastPage: number}}>}
     */
    listSecrets: (filter = {}) => withMessage(() => client().receipts(checkNames(LIST_OPTIONS, filter))),
    /**
     * Return one receipt with its `linkId` and `events`. It takes the API key that created it, or its manage token.
     * @param {string} receiptId
     * @param {{manageToken?: string}} [options]
     */
    getSecretDetails: (receiptId, options = {}) =>
      withMessage(() => client().receipt(receiptId, manageTokenOf(options))),
    /**
     * Burn a secret: the payload is erased and its link answers `gone`.
     * @param {string} receiptId
     * @param {{manageToken?: string}} [options]
     */
    deleteSecret: (receiptId, options = {}) =>
      withMessage(() => client().remove(receiptId, manageTokenOf(options))),
    /** Return the account's counts: `totalSecrets`, `activeSecrets`, `totalViews`, ... */
    getStats: () => withMessage(() => client().stats()),
  };
}

/**
 * @param {string} key
 * @param {string} text
 * @param {any} options
 */
async function createAsScrtLink(key, text, options) {
  checkNames(SCRT_LINK_OPTIONS, options);
  const { secretType = "text", password, expiresIn = DAY_MS, publicNote, host, viewLimit } = options;
  checkContent(text, { password, publicNote }, "text");
  if (!SCRT_LINK_TYPES.includes(secretType)) throw badRequest("secretType");
  if (!(expiresIn >= 1000)) throw badRequest("expiresIn");
  const seconds = Math.round(expiresIn / 1000);
  const own = { type: secretType, passcode: password, expiresIn: seconds, maxViews: viewLimit, publicNote };
  const created = await createSecret(api({ server: hostUrl(host), token: key }), text, own);
  return {
    secretLink: created.link,
    receiptId: created.receiptId,
    expiresIn: seconds * 1000,
    expiresAt: new Date(created.expiresAt).toISOString(),
  };
}

/**
 * @param {string} server
 * @param {string} link
 * @param {string} [passcode]
 */
async function reveal(server, link, passcode) {
  const { base, linkId, fragment, formats, isExposed } = await secretFromText(link);
  // The configured server if the link is below it, since only its URL has the path of its API; else the link's origin.
  const client = api({ server: `${base}/`.startsWith(`${server}/`) ? server : new URL(base).origin });
  const meta = await client.meta(linkId);
  const opener = await openerFor(fragment, meta.format, formats);
  // A wrong passcode of such a link is noticed only after its view is spent.
  if (opener.LOCAL_PASSCODE) throw badRequest("link");
  // A passcode that was never set would derive a wrong key and waste the view.
  if (passcode && !meta.passcodeRequired) throw badRequest("passcode");
  const { proof, open } = await opener.unlock(fragment, passcode);
  const { encryptedBlob, iv, viewsLeft, expiresAt } = await client.reveal(linkId, proof);
  try {
    const opened = await open(encryptedBlob, iv);
    return { ...opened, text: textOf(opened.body), viewsLeft, expiresAt, isKeyExposed: isExposed };
  } catch (error) {
    throw Object.assign(/** @type {Error} */ (error), { encryptedBlob, iv });
  }
}

/** @param {Uint8Array} body */
function textOf(body) {
  try {
    return fromUtf8(body);
  } catch {
    return null;
  }
}

/**
 * Return the options. Throws ApiError `bad_request` for an unknown name: a misspelt `passcode` would create a secret
 * without one.
 * @param {string[]} names
 * @param {any} options
 */
function checkNames(names, options) {
  if (typeof options !== "object" || !options) throw badRequest("options");
  const unknown = Object.keys(options).filter((name) => !names.includes(name));
  if (unknown.length) throw badRequest(...unknown);
  return options;
}

/**
 * Check the content and the options that are texts. An empty passcode is rejected: it would create a secret without
 * one, although its sender wanted one.
 * @param {any} content
 * @param {any} options
 * @param {string} name of the content
 */
function checkContent(content, options, name) {
  if (!(content instanceof Uint8Array)) checkTexts({ [name]: content });
  const texts = Object.entries(options).filter(([key, text]) => TEXT_OPTIONS.includes(key) && (text ?? null) !== null);
  checkTexts(Object.fromEntries(texts));
  const empty = texts.filter(([key, text]) => PASSCODE_OPTIONS.includes(key) && text === "").map(([key]) => key);
  if (empty.length) throw badRequest(...empty);
}

/** @param {Record<string, unknown>} texts */
function checkTexts(texts) {
  const invalid = Object.keys(texts).filter((name) => typeof texts[name] !== "string");
  if (invalid.length) throw badRequest(...invalid);
}

/** @param {any} options */
function manageTokenOf(options) {
  return checkNames(["manageToken"], options).manageToken;
}

/** @param {string | undefined} host */
function hostUrl(host) {
  if (host === undefined) return SERVER_URL;
  const isLocal = isLoopback(SERVER_URL) && SERVER_URL.startsWith("http:") && isLoopback(`http://${host}`);
  return serverUrl(`${isLocal ? "http" : "https"}://${host}`, "host");
}

/** @param {string} text */
function isLoopback(text) {
  return LOOPBACK.includes(parseUrl(text)?.hostname || "");
}

/** Return the base URL of a server, without a trailing slash or /api/v1. @param {string} text */
function serverUrl(text = SERVER_URL, field = "server") {
  const url = /^https?:\/\/[^/\s@?#\\]+(?:\/[^/\s@?#\\]+)*\/?$/i.test(text) ? parseUrl(text) : null;
  if (!url) throw badRequest(field);
  return url.href.replace(/\/+$/, "").replace(/\/api\/v1$/, "");
}

/** @param {string} text */
function parseUrl(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** @param {...string} fields */
function badRequest(...fields) {
  return new ApiError("bad_request", { fields });
}

/**
 * Do `work`, and give an ApiError its English message.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function withMessage(work) {
  try {
    if (!globalThis.crypto?.subtle) throw new ApiError("insecure_context");
    return await work();
  } catch (error) {
    if (error instanceof ApiError) error.message = messageOf(error);
    throw error;
  }
}

/**
 * Resolve to an error that a server returned, or would return.
 * @template T
 * @param {Promise<T>} work
 */
async function orError(work) {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ApiError) || NO_RESPONSE.includes(error.code)) throw error;
    return { error: error.message, code: error.code, fields: error.fields };
  }
}

/** @param {ApiError} error */
function messageOf({ code, fields }) {
  const message = MESSAGES.get(code) || `The server rejected the request: ${code}`;
  return fields.length ? `${message}: ${fields.join(", ")}` : message;
}
