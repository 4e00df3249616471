/**
 * The client module, for pages and programs of other origins: `import { scrtLink, seclink } from
 * "{server}/api/v1/client-module"`. It is the pages' own code under two faces:
 *
 *     scrtLink(key)               as scrt.link documents its client module, member by member
 *     seclink({ token, server })  everything the native API has
 *
 * Whom to ask: the server the module came from, unless told otherwise. A link is asked for where it points, and the
 * API key never goes there. Every call rejects with a `ApiError`: `code` for programs, an English `message` for people.
 */
// @ts-check
import { SERVER_URL, api } from "./api.js";
import { fromUtf8 } from "./bytes.js";
import { parse } from "./link.js";
import { openerFor } from "./openers.js";
import { ApiError } from "./api-error.js";
import { create } from "./seal.js";

export { ApiError };

const DAY_MS = 86400000;
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];
const OPTIONS = ["secretType", "password", "expiresIn", "publicNote", "host", "viewLimit"];
const SCRT_LINK_TYPES = ["text", "redirect", "neogram"];
const WANTED = ["status", "search", "page", "limit"];
const TERMS = ["type", "passcode", "expiresIn", "maxViews", "publicNote", "label", "name", "mediaType"];
const PASSCODES = ["passcode", "password"];
const TEXTS = [...PASSCODES, "publicNote", "label", "name", "mediaType"];
const MESSAGES = new Map([
  ["bad_request", "The request is not valid"],
  ["key_invalid", "The API key is not valid"],
  ["key_required", "An API key is required"],
  ["access_denied", "This is not the link's key; nothing was used up"],
  ["passcode_required", "A passcode is required; nothing was used up"],
  ["passcode_wrong", "The passcode is wrong; nothing was used up"],
  ["passcode_locked", "Too many wrong passcodes; try again later"],
  ["forbidden", "The API key does not permit this"],
  ["not_found", "There is nothing here"],
  ["not_active", "The secret has ended and cannot be changed"],
  ["gone", "The secret is gone"],
  ["payload_too_large", "The secret is too large"],
  ["rate_limited", "Too many requests; try again later"],
  ["busy", "The server is busy; nothing was done, try again"],
  ["storage", "The store is not available; nothing was done, try again"],
  ["storage_full", "There is no room for more secrets"],
  ["unreachable", "The server cannot be reached"],
  ["bad_answer", "The server's answer is not SecLink's; is this its address?"],
  ["link_incomplete", "This link is incomplete; nothing was used up"],
  ["not_authentic", "The secret does not open: it is damaged, or this is not its key"],
  ["insecure_context", "WebCrypto is missing: the page has to come over https, or from localhost"],
]);

/**
 * scrt.link's client.
 * @param {string} key the API key
 */
export function scrtLink(key) {
  return {
    /**
     * Seal a text for one reader.
     * @param {string} text for the type redirect, a web address
     * @param {{secretType?: "text" | "redirect" | "neogram", password?: string, expiresIn?: number,
     *   publicNote?: string, host?: string, viewLimit?: number}} [options] `expiresIn` in milliseconds, a day unless
     *   given; `publicNote` is shown before revealing; `host` is another SecLink to ask, "host", "host:port/path"
     * @returns {Promise<{secretLink: string, receiptId: string, expiresIn: number, expiresAt: string}>} `expiresIn` in
     *   milliseconds, `expiresAt` as ISO 8601
     */
    createSecret: (text, options = {}) => told(() => createAsScrtLink(key, text, options)),
  };
}

/**
 * SecLink's own client. Lifetimes are seconds, instants epoch milliseconds.
 * @param {{token?: string, server?: string}} [whom] `token`: an API key, for what is not open to anybody; `server`:
 *   "https://host" or "https://host/path"
 */
export function seclink({ token, server } = {}) {
  const own = () => api({ server: address(server), token });
  return {
    /**
     * Seal and hand over. `content` is a string, or a Uint8Array with type "file" and a `name`.
     * @param {string | Uint8Array} content
     * @param {{type?: "text" | "redirect" | "neogram" | "file", passcode?: string, expiresIn?: number,
     *   maxViews?: number | null, publicNote?: string, label?: string, name?: string, mediaType?: string}} [terms]
     *   a day and one view unless given; `maxViews` null: any number; `passcode` is to be told on another channel
     * @returns {Promise<{link: string, linkId: string, receiptId: string, manageToken: string, expiresAt: number,
     *   maxViews: number | null}>}
     */
    createSecret: (content, terms = {}) => told(async () => {
      checkContent(content, only(TERMS, terms), "content");
      return create(own(), content, terms);
    }),
    /**
     * Spend a view and open what comes. `link_incomplete`, `passcode_required`, `passcode_wrong` (with `attemptsLeft`)
     * and `bad_request` for a passcode where none is set spend nothing; `gone` has `state` and `endedAt`. What was
     * spent and does not open is in `encryptedBlob` and `iv` of the `not_authentic`.
     * @param {string} link as it was pasted, with what mail clients add to it
     * @param {{passcode?: string}} [options]
     * @returns {Promise<{type: string, text: string | null, body: Uint8Array, name?: string, mediaType?: string,
     *   viewsLeft: number | null, expiresAt: number}>} `text` is null where the body is not UTF-8
     */
    revealSecret: (link, options = {}) =>
      told(async () => {
        const { passcode } = only(["passcode"], options);
        checkTexts({ link, passcode: passcode ?? "" });
        return reveal(address(server), link, passcode);
      }),
    /**
     * One page of the key's own receipts, newest first; `search` looks in labels and notes.
     * @param {{status?: "active" | "revealed" | "burned" | "expired", search?: string, page?: number,
     *   limit?: number}} [wanted] `limit` 1 to 100, 50 unless given
     * @returns {Promise<{data: object[], pagination: {currentPage: number, perPage: number, total: number,
     *   lastPage: number}}>}
     */
    listSecrets: (wanted = {}) => told(() => own().receipts(only(WANTED, wanted))),
    /**
     * One receipt with its `linkId` and its `events`, by the key that created it or its manage token.
     * @param {string} receiptId
     * @param {{manageToken?: string}} [options]
     */
    getSecretDetails: (receiptId, options = {}) => told(() => own().receipt(receiptId, manage(options))),
    /**
     * Burn it: the payload is erased, whoever holds the link finds it gone.
     * @param {string} receiptId
     * @param {{manageToken?: string}} [options]
     */
    deleteSecret: (receiptId, options = {}) => told(() => own().remove(receiptId, manage(options))),
    /** The account's counts: `totalSecrets`, `activeSecrets`, `totalViews`, ... */
    getStats: () => told(() => own().stats()),
  };
}

/**
 * @param {string} key
 * @param {string} text
 * @param {any} options
 */
async function createAsScrtLink(key, text, options) {
  const { secretType = "text", password, expiresIn = DAY_MS, publicNote, host, viewLimit } = only(OPTIONS, options);
  checkContent(text, { password, publicNote }, "text");
  if (!SCRT_LINK_TYPES.includes(secretType)) throw refused("secretType");
  if (!(expiresIn >= 1000)) throw refused("expiresIn");
  const lifetime = Math.round(expiresIn / 1000);
  const terms = { type: secretType, passcode: password, expiresIn: lifetime, maxViews: viewLimit, publicNote };
  const made = await create(api({ server: hosted(host), token: key }), text, terms);
  return {
    secretLink: made.link,
    receiptId: made.receiptId,
    expiresIn: lifetime * 1000,
    expiresAt: new Date(made.expiresAt).toISOString(),
  };
}

/**
 * @param {string} server
 * @param {string} link
 * @param {string} [passcode]
 */
async function reveal(server, link, passcode) {
  const { base, linkId, fragment } = parse(link);
  // Our own server if the link is under it, since we know any path before its API; else the link's origin.
  const asked = api({ server: `${base}/`.startsWith(`${server}/`) ? server : new URL(base).origin });
  const known = await asked.meta(linkId);
  const opener = await openerFor(fragment, known.format);
  // A passcode that was never set would spend the secret on a key that cannot open it.
  if (passcode && !known.passcodeRequired) throw refused("passcode");
  const { proof, open } = await opener.unlock(fragment, passcode);
  const { encryptedBlob, iv, viewsLeft, expiresAt } = await asked.reveal(linkId, proof);
  try {
    const opened = await open(encryptedBlob, iv);
    return { ...opened, text: textOf(opened.body), viewsLeft, expiresAt };
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
 * The options, all of which have to be known: a misspelt passcode would be a secret without one.
 * @param {string[]} names
 * @param {any} options
 */
function only(names, options) {
  if (typeof options !== "object" || !options) throw refused("options");
  const unknown = Object.keys(options).filter((name) => !names.includes(name));
  if (unknown.length) throw refused(...unknown);
  return options;
}

/**
 * What is to be sealed, and the texts beside it. An empty passcode would be none: a secret that anybody opens, whose
 * sender asked for the contrary.
 * @param {any} content
 * @param {any} terms
 * @param {string} name of the content
 */
function checkContent(content, terms, name) {
  if (!(content instanceof Uint8Array)) checkTexts({ [name]: content });
  const given = Object.entries(terms).filter(([term, value]) => TEXTS.includes(term) && (value ?? null) !== null);
  checkTexts(Object.fromEntries(given));
  const empty = given.filter(([term, value]) => PASSCODES.includes(term) && value === "").map(([term]) => term);
  if (empty.length) throw refused(...empty);
}

/** @param {Record<string, unknown>} given */
function checkTexts(given) {
  const wrong = Object.keys(given).filter((name) => typeof given[name] !== "string");
  if (wrong.length) throw refused(...wrong);
}

/** @param {any} options */
function manage(options) {
  return only(["manageToken"], options).manageToken;
}

/** @param {string | undefined} host */
function hosted(host) {
  if (host === undefined) return SERVER_URL;
  const isLocal = isLoopback(SERVER_URL) && SERVER_URL.startsWith("http:") && isLoopback(`http://${host}`);
  return address(`${isLocal ? "http" : "https"}://${host}`, "host");
}

/** @param {string} text */
function isLoopback(text) {
  return LOOPBACK.includes(parsed(text)?.hostname || "");
}

/** The base URL of a server, without what may follow it. @param {string} text */
function address(text = SERVER_URL, field = "server") {
  const url = /^https?:\/\/[^/\s@?#\\]+(?:\/[^/\s@?#\\]+)*\/?$/i.test(text) ? parsed(text) : null;
  if (!url) throw refused(field);
  return url.href.replace(/\/+$/, "").replace(/\/api\/v1$/, "");
}

/** @param {string} text */
function parsed(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** @param {...string} fields */
function refused(...fields) {
  return new ApiError("bad_request", { fields });
}

/**
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function told(work) {
  try {
    if (!globalThis.crypto?.subtle) throw new ApiError("insecure_context");
    return await work();
  } catch (error) {
    if (error instanceof ApiError) error.message = message(error);
    throw error;
  }
}

/** @param {ApiError} refusal */
function message({ code, fields }) {
  const said = MESSAGES.get(code) || `The server refused: ${code}`;
  return fields.length ? `${said}: ${fields.join(", ")}` : said;
}
