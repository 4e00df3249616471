/**
 * The answers of the native API, member by member: what is not as documented throws, what is not known is dropped.
 *
 * A page believes nothing else a server says: a number is whole and can be shown as a date, base64 is canonical, an id
 * has its own characters, so no answer can put anything but text where it is shown. Instants are epoch milliseconds.
 */
// @ts-check
import { fromBase64 } from "./bytes.js";
import { LINK_ID } from "./formats.js";

const LATEST = 253402300799999; // the last instant of the year 9999, which Date and Intl can still show

/** @param {unknown} value */
export function linkId(value) {
  return matching(value, LINK_ID);
}

/** @param {unknown} value */
export function receiptId(value) {
  return matching(value, /^[A-Za-z0-9]{20}$/);
}

/** @param {any} answer */
export function created(answer) {
  const read = object(answer, {
    linkId,
    shareUrl,
    expiresAt: whole,
    receiptId,
    manageToken,
    maxViews: orNull(whole),
  });
  if (!read.shareUrl.endsWith(`/${read.linkId}`)) throw new TypeError("shareUrl");
  return read;
}

/** @param {any} answer */
export function meta(answer) {
  return object(answer, {
    linkId,
    format: word,
    expiresAt: whole,
    viewsLeft: orNull(whole),
    accessRequired: flag,
    passcodeRequired: flag,
    attemptsLeft: orNull(whole),
    publicNote: orNull(word),
  });
}

/** `encryptedBlob` and `iv` are handed on as bytes. @param {any} answer */
export function revealed(answer) {
  return object(answer, {
    encryptedBlob: bytes,
    iv: bytes,
    format: word,
    viewsLeft: orNull(whole),
    expiresAt: whole,
  });
}

const LISTED = {
  receiptId,
  state,
  label: orNull(word),
  publicNote: orNull(word),
  createdAt: whole,
  expiresAt: whole,
  maxViews: orNull(whole),
  views: whole,
  passcodeRequired: flag,
};

/** @param {any} answer */
export function receipt(answer) {
  return object(answer, { ...LISTED, linkId: orNull(linkId), events: listOf(event) });
}

/** @param {any} answer */
export function receipts(answer) {
  return object(answer, { data: listOf(listed), pagination });
}

/** @param {any} answer */
export function stats(answer) {
  return object(answer, {
    totalSecrets: whole,
    activeSecrets: whole,
    expiredSecrets: whole,
    totalViews: whole,
    secretsWithPasscode: whole,
    createdToday: whole,
    createdThisWeek: whole,
    createdThisMonth: whole,
  });
}

/** @param {any} answer */
export function account(answer) {
  return object(answer, { name: word, scopes: listOf(word), keyPrefix: word });
}

/** @param {any} answer */
function listed(answer) {
  return object(answer, LISTED);
}

/** @param {any} answer */
function event(answer) {
  return object(answer, { at: whole, type: word });
}

/** @param {any} answer */
function pagination(answer) {
  return object(answer, { currentPage: whole, perPage: whole, total: whole, lastPage: whole });
}

/**
 * @template {Record<string, (value: any) => any>} Readers
 * @param {any} answer
 * @param {Readers} readers
 * @returns {{[Name in keyof Readers]: ReturnType<Readers[Name]>}}
 */
function object(answer, readers) {
  if (typeof answer !== "object" || answer === null) throw new TypeError("not an object");
  const read = Object.entries(readers).map(([name, reader]) => [name, reader(answer[name])]);
  return Object.fromEntries(read);
}

/**
 * @template T
 * @param {(value: any) => T} reader
 * @returns {(value: any) => T[]}
 */
function listOf(reader) {
  return (value) => {
    if (!Array.isArray(value)) throw new TypeError("not a list");
    return value.map((each) => reader(each));
  };
}

/**
 * @template T
 * @param {(value: any) => T} reader
 * @returns {(value: any) => T | null}
 */
function orNull(reader) {
  return (value) => (value === null ? null : reader(value));
}

/**
 * @param {unknown} value
 * @returns {number}
 */
export function whole(value) {
  if (!Number.isSafeInteger(value) || Number(value) < 0 || Number(value) > LATEST) throw new TypeError("not a number");
  return Number(value);
}

/**
 * @param {unknown} value
 * @returns {string}
 */
export function word(value) {
  if (typeof value !== "string") throw new TypeError("not a string");
  return value;
}

/**
 * @param {unknown} value
 * @param {RegExp} pattern
 */
export function matching(value, pattern) {
  if (!pattern.test(word(value))) throw new TypeError("not what it should be");
  return word(value);
}

/** @param {unknown} value */
export function state(value) {
  return matching(value, /^(?:active|revealed|burned|expired)$/);
}

/** @param {unknown} value */
function manageToken(value) {
  return matching(value, /^[A-Za-z0-9]{1,200}$/);
}

/** Plain characters only, no query, no fragment, no user. @param {unknown} value */
function shareUrl(value) {
  return matching(value, /^https?:\/\/[A-Za-z0-9.:_[\]-]+(?:\/[A-Za-z0-9:._~%[\]-]*)+$/);
}

/**
 * @param {unknown} value
 * @returns {boolean}
 */
function flag(value) {
  if (typeof value !== "boolean") throw new TypeError("not true or false");
  return value;
}

/** @param {unknown} value */
function bytes(value) {
  return fromBase64(word(value));
}
