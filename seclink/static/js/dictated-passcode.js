// @ts-check
/**
 * Passcodes that were read out. Who hears four words writes them with spaces and capitals as they come; generated ones
 * are in small letters with dashes. So four of the words they are made of are tried that way first, then as typed.
 */
import { words } from "./api.js";

const FOUR_WORDS = /^\s*([a-z]+)[\s,-]+([a-z]+)[\s,-]+([a-z]+)[\s,-]+([a-z]+)\s*$/;

/**
 * @template T
 * @param {string | null} passcode
 * @param {(passcode: string | null) => Promise<T>} attempt
 * @returns {Promise<T>}
 */
export async function attemptDictated(passcode, attempt) {
  const four = FOUR_WORDS.exec((passcode ?? "").toLowerCase())?.slice(1) ?? [];
  const generated = four.join("-");
  if (generated && generated !== passcode && await areOfOurs(four)) {
    try {
      return await attempt(generated);
    } catch (error) {
      if (/** @type {any} */ (error)?.code !== "passcode_wrong") throw error;
    }
  }
  return attempt(passcode);
}

/** @param {string[]} four */
async function areOfOurs(four) {
  const known = await words().catch(() => /** @type {string[]} */ ([])); // it is a help, not a condition
  return four.every((each) => known.includes(each));
}
