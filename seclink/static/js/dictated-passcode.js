// @ts-check
/**
 * Passcodes that were dictated. People type the four words they hear with spaces and capitals; generated passcodes are
 * lower-case words with dashes. If all four words are on the word list, the generated form is attempted first.
 */
import { loadPasscodeWords } from "./api.js";

const FOUR_WORDS = /^\s*([a-z]+)[\s,-]+([a-z]+)[\s,-]+([a-z]+)[\s,-]+([a-z]+)\s*$/;

/**
 * Call `attempt` with the generated form of the passcode if there is one, then with the passcode as it was typed.
 * @template T
 * @param {string | null} passcode
 * @param {(passcode: string | null) => Promise<T>} attempt
 * @returns {Promise<T>}
 */
export async function attemptDictated(passcode, attempt) {
  const words = FOUR_WORDS.exec((passcode ?? "").toLowerCase())?.slice(1) ?? [];
  const generated = words.join("-");
  if (generated && generated !== passcode && await areListed(words)) {
    try {
      return await attempt(generated);
    } catch (error) {
      if (/** @type {any} */ (error)?.code !== "passcode_wrong") throw error;
    }
  }
  return attempt(passcode);
}

/** @param {string[]} words */
async function areListed(words) {
  // Without the list the passcode is attempted as typed.
  const list = await loadPasscodeWords().catch(() => /** @type {string[]} */ ([]));
  return words.every((word) => list.includes(word));
}
