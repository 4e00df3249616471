/**
 * The responses of the native API, member by member. A member that is not as documented throws, an unknown one is
 * dropped.
 *
 * The pages use nothing else of a response. Integers can be shown as dates, base64 is canonical, and ids have only
 * their own characters: no response can put anything but text where it is shown. Instants are epoch milliseconds.
 */
// @ts-check
import { fromBase64 } from "./bytes.js";

// A dialect's name and its own id after a dot, or 12 characters. Only links have to know the forms of each: formats.js.
const LINK_ID = /^(?:[A-Za-z0-9]{12}|[a-z-]{1,40}\.[A-Za-z0-9]{1,80})$/;
const MAX_INSTANT = 253402300799999; // the end of the year 9999, which Date and Intl can still show

/** @param {unknown} value */
export function linkId(value) {
  return matching(value, LINK_ID);
}

/** @param {unknown} value */
export function receiptId(value) {
  return matching(value, /^[A-Za-z0-9]{20}$/);
}

/** @param {any} response */
export function created(response) {
  const secret = object(response, {
    linkId,
    shareUrl,
    expiresAt: integer,
    receiptId,
    manageToken,
    maxViews: nullable(integer),
  });
  if (!secret.shareUrl.endsWith(`/${secret.linkId}`)) throw new TypeError("shareUrl");
  return secret;
}

/** @param {any} response */
export function meta(response) {
  return object(response, {
    linkId,
    format: string,
    expiresAt: integer,
    viewsLeft: nullable(integer),
    accessRequired: boolean,
    passcodeRequired: boolean,
    attemptsLeft: nullable(integer),
    publicNote: nullable(string),
    files: optional(filesSize),
  });
}

/** Return `encryptedBlob` and `iv` as bytes. @param {any} response */
export function revealed(response) {
  return object(response, {
    encryptedBlob: bytes,
    iv: bytes,
    format: string,
    viewsLeft: nullable(integer),
    expiresAt: integer,
    files: optional(grantedFiles),
  });
}

/** @param {any} response */
function filesSize(response) {
  return object(response, { size: integer });
}

/** @param {any} response */
function downloads(response) {
  return object(response, { size: integer, grants: integer, grantsUntil: nullable(integer) });
}

/** @param {any} response */
function grantedFiles(response) {
  return object(response, { size: integer, chunks: integer, grant, grantExpiresAt: integer });
}

const RECEIPT_ROW = {
  receiptId,
  state,
  label: nullable(string),
  publicNote: nullable(string),
  createdAt: integer,
  expiresAt: integer,
  maxViews: nullable(integer),
  views: integer,
  passcodeRequired: boolean,
};

/** @param {any} response */
export function receipt(response) {
  return object(response, {
    ...RECEIPT_ROW,
    linkId: nullable(linkId),
    events: arrayOf(event),
    lockedUntil: nullable(integer),
    lockedClients: integer,
    files: optional(downloads),
  });
}

/** @param {any} response */
export function receipts(response) {
  return object(response, { data: arrayOf(receiptRow), pagination });
}

/** @param {any} response */
export function stats(response) {
  return object(response, {
    totalSecrets: integer,
    activeSecrets: integer,
    expiredSecrets: integer,
    totalViews: integer,
    secretsWithPasscode: integer,
    createdToday: integer,
    createdThisWeek: integer,
    createdThisMonth: integer,
  });
}

/** @param {any} response */
export function fileLimits(response) {
  return object(response, { allowed: boolean, maxBytes: integer, clientBytes: nullable(integer) });
}

/** @param {any} response */
export function uploadBegun(response) {
  return object(response, { uploadId: plain, uploadToken: plain });
}

/** @param {any} response */
export function uploadStatus(response) {
  return object(response, { received: arrayOf(arrayOf(integer)) });
}

/** @param {any} response */
export function account(response) {
  return object(response, { name: string, scopes: arrayOf(string), keyPrefix: string });
}

/** @param {any} response */
function receiptRow(response) {
  return object(response, RECEIPT_ROW);
}

/** @param {any} response */
function event(response) {
  return object(response, { at: integer, type: string });
}

/** @param {any} response */
function pagination(response) {
  return object(response, { currentPage: integer, perPage: integer, total: integer, lastPage: integer });
}

/**
 * @template {Record<string, (value: any) => any>} Schema
 * @param {any} value
 * @param {Schema} schema
 * @returns {{[Name in keyof Schema]: ReturnType<Schema[Name]>}}
 */
function object(value, schema) {
  if (typeof value !== "object" || value === null) throw new TypeError("not an object");
  const members = Object.entries(schema).map(([name, read]) => [name, read(value[name])]);
  return Object.fromEntries(members);
}

/**
 * @template T
 * @param {(value: any) => T} read
 * @returns {(value: any) => T[]}
 */
function arrayOf(read) {
  return (value) => {
    if (!Array.isArray(value)) throw new TypeError("not an array");
    return value.map((item) => read(item));
  };
}

/**
 * @template T
 * @param {(value: any) => T} read
 * @returns {(value: any) => T | null}
 */
function nullable(read) {
  return (value) => (value === null ? null : read(value));
}

/**
 * @template T
 * @param {(value: any) => T} read
 * @returns {(value: any) => T | undefined}
 */
function optional(read) {
  return (value) => (value === undefined ? undefined : read(value));
}

/**
 * @param {unknown} value
 * @returns {number}
 */
export function integer(value) {
  const number = Number.isSafeInteger(value) ? Number(value) : -1;
  if (number < 0 || number > MAX_INSTANT) throw new TypeError("not an integer");
  return number;
}

/**
 * @param {unknown} value
 * @returns {string}
 */
export function string(value) {
  if (typeof value !== "string") throw new TypeError("not a string");
  return value;
}

/**
 * @param {unknown} value
 * @param {RegExp} pattern
 */
export function matching(value, pattern) {
  if (!pattern.test(string(value))) throw new TypeError("not of the documented form");
  return string(value);
}

/** @param {unknown} value */
export function state(value) {
  return matching(value, /^(?:active|revealed|burned|expired)$/);
}

/** @param {unknown} value */
function manageToken(value) {
  return plain(value);
}

/** @param {unknown} value */
function plain(value) {
  return matching(value, /^[A-Za-z0-9]{1,200}$/);
}

/** @param {unknown} value */
function grant(value) {
  return matching(value, /^[A-Za-z0-9_-]{1,200}$/);
}

/** Only plain characters: no query, fragment or user. @param {unknown} value */
function shareUrl(value) {
  return matching(value, /^https?:\/\/[A-Za-z0-9.:_[\]-]+(?:\/[A-Za-z0-9:._~%[\]-]*)+$/);
}

/**
 * @param {unknown} value
 * @returns {boolean}
 */
function boolean(value) {
  if (typeof value !== "boolean") throw new TypeError("not a boolean");
  return value;
}

/** @param {unknown} value */
function bytes(value) {
  return fromBase64(string(value));
}
