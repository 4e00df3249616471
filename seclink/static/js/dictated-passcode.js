// @ts-check
/**
 * Passcodes that were dictated. People type the four words or six digits they hear with spaces and capitals; generated
 * passcodes are lower-case words with dashes, or digits alone. What may be one of them is attempted in that form first.
 */
import { loadWords } from "./word-lists.js";

/**
 * Call `attempt` with one candidate after the other, until one of them is not the wrong passcode.
 * @template T
 * @param {string | null} passcode as it was typed
 * @param {string[]} languages of the lists that its words may be on
 * @param {(passcode: string | null) => Promise<T>} attempt
 * @returns {Promise<T>}
 */
export async function attemptDictated(passcode, languages, attempt) {
  const [generated] = passcode === null ? [passcode] : await passcodeCandidates(passcode, languages);
  if (generated !== passcode) {
    try {
      return await attempt(generated);
    } catch (error) {
      if (/** @type {any} */ (error)?.code !== "passcode_wrong") throw error;
    }
  }
  return attempt(passcode);
}

/**
 * Return the passcodes to attempt, in order: the generated form, if it may be a generated one, then the typed one.
 * @param {string} typed
 * @param {string[]} languages
 */
export async function passcodeCandidates(typed, languages) {
  const digits = typed.replace(/[\s-]/g, "");
  const words = typed.normalize("NFC").toLowerCase().split(/[\s,-]+/).filter(Boolean);
  const isDigits = /^[0-9]{6}$/.test(digits);
  const generated = isDigits ? digits : words.join("-");
  const mayBeGenerated = generated !== typed && (isDigits || (words.length === 4 && await areListed(words, languages)));
  return mayBeGenerated ? [generated, typed] : [typed];
}

/**
 * Return true if all words are on one list. A list that does not load has none of them.
 * @param {string[]} words
 * @param {string[]} languages
 */
async function areListed(words, languages) {
  const lists = await Promise.all(languages.map((language) =>
    loadWords(language).catch(() => /** @type {string[]} */ ([]))));
  return lists.some((list) => words.every((word) => list.includes(word)));
}
