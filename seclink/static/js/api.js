/**
 * The native API, call by call: what each asks, whether it may be asked again, and how its answer is read.
 *
 * Only what is harmless to repeat is repeated: reads, and creating and revealing, which carry one Idempotency-Key in
 * all tries.
 */
// @ts-check
import * as answers from "./response-schema.js";
import { toBase64url } from "./bytes.js";
import { exchange } from "./http.js";
import { randomBytes } from "./link.js";
import { ApiError } from "./api-error.js";

/** Where this module came from, without a trailing slash: {base} of {base}/static/{version}/js/api.js. */
export const SERVER_URL = new URL("../../..", import.meta.url).href.replace(/\/$/, "");

const SMALL_MS = 30000;
const LARGE_MS = 120000; // a payload goes with the request or the answer

/**
 * A server as one caller sees it; every call rejects with ApiError.
 * @param {{server?: string, token?: string | null}} [whom] `server`: base URL without /api/v1 and trailing slash;
 *   `token`: an API key
 */
export function api({ server = SERVER_URL, token = null } = {}) {
  return new Api(server, token);
}

/** @typedef {{access?: string, passcodeHash?: string}} Proof */
/** @typedef {string | null | undefined} Manage a manage token; without one the API key opens the receipt */

class Api {
  /**
   * @param {string} server
   * @param {string | null} token
   */
  constructor(server, token) {
    this.server = server;
    this.token = token;
  }

  /**
   * `body` as the API's "Create" takes it.
   * @param {object} body
   */
  async create(body) {
    const headers = { ...this.bearer(), ...once() };
    return this.ask("POST", "/secrets", answers.created, { body, headers, repeatable: true, ms: LARGE_MS });
  }

  /**
   * What can be known without spending anything.
   * @param {string} linkId
   */
  async meta(linkId) {
    return this.ask("GET", `${secret(linkId)}/meta`, answers.meta);
  }

  /**
   * Spends a view. `encryptedBlob` and `iv` come as bytes. Asked again with the same `headers` within a minute, it
   * gives an answer that was lost once more.
   * @param {string} linkId
   * @param {Proof} proof
   * @param {Record<string, string>} [headers]
   */
  async reveal(linkId, proof, headers = once()) {
    const more = { body: proof, headers, repeatable: true, ms: LARGE_MS };
    return this.ask("POST", `${secret(linkId)}/reveal`, answers.revealed, more);
  }

  /**
   * The reader destroys what is left.
   * @param {string} linkId
   * @param {Proof} proof
   */
  async burn(linkId, proof) {
    return this.ask("POST", `${secret(linkId)}/burn`, nothing, { body: proof });
  }

  /**
   * @param {string} linkId
   * @param {string} [reason]
   */
  async report(linkId, reason) {
    return this.ask("POST", `${secret(linkId)}/report`, nothing, { body: { reason } });
  }

  /**
   * @param {string} receiptId
   * @param {Manage} [manage]
   */
  async receipt(receiptId, manage) {
    return this.ask("GET", receipt(receiptId), answers.receipt, { headers: this.sender(manage) });
  }

  /**
   * @param {string} receiptId
   * @param {Manage} manage
   * @param {{expiresIn?: number, maxViews?: number | null, label?: string | null, publicNote?: string | null}} changes
   */
  async change(receiptId, manage, changes) {
    const more = { headers: this.sender(manage), body: changes };
    return this.ask("PATCH", receipt(receiptId), answers.receipt, more);
  }

  /**
   * The sender burns it.
   * @param {string} receiptId
   * @param {Manage} [manage]
   */
  async remove(receiptId, manage) {
    return this.ask("DELETE", receipt(receiptId), nothing, { headers: this.sender(manage) });
  }

  /** @param {{status?: string, search?: string, page?: number, limit?: number}} [wanted] */
  async receipts(wanted = {}) {
    const given = Object.entries(wanted).filter(([, value]) => value !== undefined && value !== null);
    const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
    return this.ask("GET", `/receipts?${query}`, answers.receipts, { headers: this.bearer() });
  }

  async stats() {
    return this.ask("GET", "/stats", answers.stats, { headers: this.bearer() });
  }

  async account() {
    return this.ask("GET", "/account", answers.account, { headers: this.bearer() });
  }

  /**
   * A manage token goes alone: it opens its receipt even where the key is somebody else's or has been revoked.
   * @param {Manage} manage
   */
  sender(manage) {
    return manage ? { "SecLink-Manage": printable(manage, "manageToken") } : this.bearer();
  }

  /** @returns {Record<string, string>} */
  bearer() {
    if (this.token && !/^[!-~]+$/.test(this.token)) throw new ApiError("key_invalid");
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }

  /**
   * @template T
   * @param {string} method
   * @param {string} path
   * @param {(answer: any) => T} read
   * @param {{body?: object, headers?: Record<string, string>, repeatable?: boolean, ms?: number}} [more]
   * @returns {Promise<T>}
   */
  ask(method, path, read, more = {}) {
    const url = `${this.server}/api/v1${path}`;
    const request = { repeatable: method === "GET", ms: SMALL_MS, ...more, method, url };
    return exchange(request, (text) => read(text && JSON.parse(text)));
  }
}

/**
 * The words passcodes are made of.
 * @returns {Promise<string[]>}
 */
export async function words() {
  const url = new URL("../words.txt", import.meta.url).href;
  return exchange({ method: "GET", url, repeatable: true, ms: SMALL_MS, cache: "default" }, listOfWords);
}

/** @param {string} text */
function listOfWords(text) {
  return text.split(/\s+/).filter(Boolean);
}

function nothing() {}

/** A name for one intention, the same in every try of it: 192 bits, since for a minute it replays a secret. */
export function once() {
  return { "Idempotency-Key": toBase64url(randomBytes(24)) };
}

/** @param {string} linkId */
function secret(linkId) {
  return `/secrets/${checked(answers.linkId, linkId, "linkId")}`;
}

/**
 * Checked here, because what people paste instead is the link, key and all.
 * @param {string} receiptId
 */
function receipt(receiptId) {
  return `/receipts/${checked(answers.receiptId, receiptId, "receiptId")}`;
}

/**
 * @param {(value: unknown) => string} read
 * @param {string} value
 * @param {string} field
 */
function checked(read, value, field) {
  try {
    return read(value);
  } catch {
    throw new ApiError("bad_request", { fields: [field] });
  }
}

/**
 * @param {string} value
 * @param {string} field
 */
function printable(value, field) {
  return checked((given) => answers.matching(given, /^[!-~]+$/), value, field);
}
