// @ts-check
/** The lists of words for passcodes, one for each language. */

import { ApiError } from "./api-error.js";
import { send } from "./http.js";

const TIMEOUT_MS = 30000;

/** @type {Map<string, Promise<string[]>>} by language */
const lists = new Map();

/**
 * Load the words of a language, once. Rejects with ApiError.
 * @param {string} language
 * @returns {Promise<string[]>}
 */
export function loadWords(language) {
  const list = lists.get(language) ?? request(language);
  lists.set(language, list);
  list.catch(() => lists.delete(language));
  return list;
}

/** @param {string} language */
function request(language) {
  const url = new URL(`../words/${language}.txt`, import.meta.url).href;
  /** @type {import("./http.js").HttpRequest} */
  const options = { method: "GET", url, isRepeatable: true, timeoutMs: TIMEOUT_MS, cache: "default" };
  return send(options, (text) => text.split(/\s+/).filter(Boolean)).catch((error) => {
    throw error.status === 404 ? new ApiError("missing") : error; // the server has newer pages
  });
}
