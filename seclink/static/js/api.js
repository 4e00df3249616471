/**
 * The native API: one method for each call, with its request, whether it may be repeated, and its response's schema.
 *
 * Only calls that are safe to repeat are repeated: reads, and create and reveal, which send one Idempotency-Key in all
 * attempts.
 */
// @ts-check
import { ApiError } from "./api-error.js";
import { toBase64url } from "./bytes.js";
import { send } from "./http.js";
import { randomBytes } from "./link.js";
import * as schema from "./response-schema.js";

/** The server of this module, without a trailing slash: {base} of {base}/static/{version}/js/api.js. */
export const SERVER_URL = new URL("../../..", import.meta.url).href.replace(/\/$/, "");

const SMALL_TIMEOUT_MS = 30000;
const PAYLOAD_TIMEOUT_MS = 120000; // for requests or responses with a payload
const CHUNK_TIMEOUT_MS = 600000; // 4 MiB at 7 kB/s

/**
 * Return a client of one server for one caller. Its calls reject with ApiError.
 * @param {{server?: string, token?: string | null}} [options] `server`: base URL without /api/v1 and trailing slash;
 *   `token`: an API key
 */
export function api({ server = SERVER_URL, token = null } = {}) {
  return new Api(server, token);
}

/** @typedef {{access?: string, passcodeHash?: string, files?: boolean}} Proof `files`: the caller can take files */
/** @typedef {string | null | undefined} ManageToken without one, the API key opens the receipt */
/** @typedef {{uploadId: string, uploadToken: string}} Begun */

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
   * @param {object} body
   * @param {Record<string, string>} [idempotency]
   */
  async create(body, idempotency = idempotencyHeader()) {
    const headers = { ...this.keyHeaders(), ...idempotency };
    const options = { body, headers, isRepeatable: true, timeoutMs: PAYLOAD_TIMEOUT_MS };
    return this.call("POST", "/secrets", schema.created, options);
  }

  /**
   * Peek: spends nothing.
   * @param {string} linkId
   */
  async meta(linkId) {
    return this.call("GET", `${secretPath(linkId)}/meta`, schema.meta);
  }

  /**
   * Spend a view. `encryptedBlob` and `iv` of the response are bytes. Within a minute, a call with the same `headers`
   * returns a lost response again.
   * @param {string} linkId
   * @param {Proof} proof
   * @param {Record<string, string>} [headers]
   */
  async reveal(linkId, proof, headers = idempotencyHeader()) {
    const options = { body: proof, headers, isRepeatable: true, timeoutMs: PAYLOAD_TIMEOUT_MS };
    return this.call("POST", `${secretPath(linkId)}/reveal`, schema.revealed, options);
  }

  /**
   * Return a sealed chunk of files, as bytes.
   * @param {string} grant
   * @param {number} index
   * @returns {Promise<import("./bytes.js").Bytes>}
   */
  async chunk(grant, index) {
    const url = `${this.server}/api/v1/files/${index}`;
    const headers = { "SecLink-Grant": grant };
    const request = { method: "GET", url, headers, isRepeatable: true, timeoutMs: CHUNK_TIMEOUT_MS, returnsBytes: true };
    return send(request, (bytes) => bytes);
  }

  /**
   * Say that the files are saved: the server then erases them, unless other readers need them.
   * @param {string} grant
   */
  async finishFiles(grant) {
    return this.call("DELETE", "/files", ignore, { headers: { "SecLink-Grant": grant } });
  }

  /**
   * Burn the secret as its reader.
   * @param {string} linkId
   * @param {Proof} proof
   */
  async burn(linkId, proof) {
    return this.call("POST", `${secretPath(linkId)}/burn`, ignore, { body: proof });
  }

  /**
   * @param {string} linkId
   * @param {string} [reason]
   */
  async report(linkId, reason) {
    return this.call("POST", `${secretPath(linkId)}/report`, ignore, { body: { reason } });
  }

  /**
   * @param {string} receiptId
   * @param {ManageToken} [manageToken]
   */
  async receipt(receiptId, manageToken) {
    return this.call("GET", receiptPath(receiptId), schema.receipt, { headers: this.receiptHeaders(manageToken) });
  }

  /**
   * @param {string} receiptId
   * @param {ManageToken} manageToken
   * @param {{expiresIn?: number, maxViews?: number | null, label?: string | null, publicNote?: string | null,
   *   unlock?: boolean}} changes `unlock`: forget all passcode attempts
   */
  async change(receiptId, manageToken, changes) {
    const options = { headers: this.receiptHeaders(manageToken), body: changes };
    return this.call("PATCH", receiptPath(receiptId), schema.receipt, options);
  }

  /**
   * Burn the secret as its sender.
   * @param {string} receiptId
   * @param {ManageToken} [manageToken]
   */
  async remove(receiptId, manageToken) {
    return this.call("DELETE", receiptPath(receiptId), ignore, { headers: this.receiptHeaders(manageToken) });
  }

  /** @param {{status?: string, search?: string, page?: number, limit?: number}} [filter] */
  async receipts(filter = {}) {
    const set = Object.entries(filter).filter(([, value]) => value !== undefined && value !== null);
    const query = new URLSearchParams(set.map(([name, value]) => [name, String(value)]));
    return this.call("GET", `/receipts?${query}`, schema.receipts, { headers: this.keyHeaders() });
  }

  /** Return the limits for files of this caller. */
  async fileLimits() {
    return this.call("GET", "/uploads", schema.fileLimits, { headers: this.keyHeaders() });
  }

  /** @param {number} size of all encrypted chunks */
  async createUpload(size) {
    const headers = { ...this.keyHeaders(), ...idempotencyHeader() };
    return this.call("POST", "/uploads", schema.uploadBegun, { body: { size }, headers, isRepeatable: true });
  }

  /** Return the chunks that the server has. @param {Begun} begun */
  async upload({ uploadId, uploadToken }) {
    const headers = { "SecLink-Upload": uploadToken };
    return this.call("GET", `/uploads/${uploadId}`, schema.uploadStatus, { headers });
  }

  /** Give an upload up. @param {Begun} begun */
  async deleteUpload({ uploadId, uploadToken }) {
    const headers = { "SecLink-Upload": uploadToken };
    return this.call("DELETE", `/uploads/${uploadId}`, ignore, { headers, isRepeatable: true });
  }

  /**
   * @param {string} uploadId
   * @param {number} index
   */
  chunkUrl(uploadId, index) {
    return `${this.server}/api/v1/uploads/${uploadId}/chunks/${index}`;
  }

  async stats() {
    return this.call("GET", "/stats", schema.stats, { headers: this.keyHeaders() });
  }

  async account() {
    return this.call("GET", "/account", schema.account, { headers: this.keyHeaders() });
  }

  /**
   * A manage token is sent without the API key: it opens its receipt even if the key is of another account or revoked.
   * @param {ManageToken} manageToken
   */
  receiptHeaders(manageToken) {
    return manageToken ? { "SecLink-Manage": printable(manageToken, "manageToken") } : this.keyHeaders();
  }

  /** @returns {Record<string, string>} */
  keyHeaders() {
    if (this.token && !/^[!-~]+$/.test(this.token)) throw new ApiError("key_invalid");
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }

  /**
   * @template T
   * @param {string} method
   * @param {string} path
   * @param {(response: any) => T} read a function of response-schema.js
   * @param {{body?: object, headers?: Record<string, string>, isRepeatable?: boolean, timeoutMs?: number}} [options]
   * @returns {Promise<T>}
   */
  call(method, path, read, options = {}) {
    const url = `${this.server}/api/v1${path}`;
    const request = { isRepeatable: method === "GET", timeoutMs: SMALL_TIMEOUT_MS, ...options, method, url };
    return send(request, (text) => read(text && JSON.parse(text)));
  }
}

function ignore() {}

/** Draw the key of one create or reveal, for all its attempts: 192 bits, as it returns a secret again for a minute. */
export function idempotencyHeader() {
  return { "Idempotency-Key": toBase64url(randomBytes(24)) };
}

/** @param {string} linkId */
function secretPath(linkId) {
  return `/secrets/${argument(schema.linkId, linkId, "linkId")}`;
}

/** @param {string} receiptId */
function receiptPath(receiptId) {
  return `/receipts/${argument(schema.receiptId, receiptId, "receiptId")}`;
}

/**
 * Check an argument before it is sent: people paste the whole link, key included, where an id is expected.
 * @param {(value: unknown) => string} read
 * @param {string} value
 * @param {string} field
 */
function argument(read, value, field) {
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
  return argument((text) => schema.matching(text, /^[!-~]+$/), value, field);
}
