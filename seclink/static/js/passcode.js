// @ts-check
/**
 * Passcodes as people type and paste them, alike here and in seclink/format/passcode.py: which ones a secret cannot be
 * created with, and what a reader's is cleaned of. `passcode-question.js` says which plainer one may be meant.
 */

export const MAX_CHARACTERS = 200;

const HALF = /\p{Cs}/u;
const SPACES = /^\p{Zs}*$/u;
// A joiner between two emoji makes them one, and is kept.
const INVISIBLE = /([\p{So}\p{Sk}\uFE0F]\u200D(?=\p{So}))|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u034F\u115F\u1160\u2800\u3164\uFFA0]/gu;

/**
 * Return why a secret cannot be created with a passcode, as a code of the server's faults, or null.
 * @param {string} passcode
 * @returns {"not_unicode" | "required" | "control_characters" | "too_long" | null}
 */
export function passcodeFault(passcode) {
  if (HALF.test(passcode)) return "not_unicode";
  if (SPACES.test(passcode)) return "required";
  if (cleaned(passcode) !== passcode) return "control_characters";
  return lengthOf(passcode) > MAX_CHARACTERS ? "too_long" : null;
}

/**
 * Return a typed passcode without line ends, zero-width and bidi marks, and what else is invisible.
 * @param {string} passcode
 */
export function cleaned(passcode) {
  return passcode.replace(INVISIBLE, (_, joined) => joined ?? "");
}

/** Count characters as people do. @param {string} text */
export function lengthOf(text) {
  const normal = text.normalize("NFC");
  return Intl.Segmenter ? [...new Intl.Segmenter().segment(normal)].length : [...normal].length;
}
