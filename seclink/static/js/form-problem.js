// @ts-check
/** The checks of the start page's form before anything is encrypted. */

import { padded } from "./envelope.js";
import { MAX_CHARACTERS, lengthOf, passcodeFault } from "./passcode.js";
import { field, select } from "./ui.js";

/** @typedef {import("./ui.js").Text} Text */

const HEADER_BYTES = 64; // reserved for the envelope's header
const TAG_BYTES = 16;

/**
 * Return what is wrong with the form and the id of the field, or null.
 * @param {any} settings of the page
 * @param {string} kind
 * @param {string} text
 * @param {{files: object[], problem: (kind: string) => Text} | null} chosen
 * @returns {[Text, string]}
 */
export function findProblem(settings, kind, text, chosen) {
  const problem = chosen?.problem(kind);
  if (problem) return [problem, "choose-files"];
  if (!field("secret").value && !chosen?.files.length) {
    return kind === "file" ? ["attach.none", "choose-files"] : ["create.empty", "secret"];
  }
  if (kind === "redirect" && !text) return ["create.notLink", "secret"];
  const size = new TextEncoder().encode(text).length;
  if (blobBytes(size) > settings.payloadBytes) {
    return [(locale) => locale.t("create.tooLong", { size, max: maxTextBytes(settings.payloadBytes) }), "secret"];
  }
  for (const [name, max] of Object.entries({ note: settings.noteCharacters, label: settings.labelCharacters })) {
    const length = [...field(name).value.trim()].length;
    if (length > max) return [(locale) => locale.t(`create.${name}TooLong`, { size: length, max }), name];
  }
  return [select("passcode-kind").value === "own" ? passcodeProblem(field("own-passcode").value) : null, "own-passcode"];
}

/**
 * @param {string} passcode
 * @returns {Text}
 */
function passcodeProblem(passcode) {
  switch (passcodeFault(passcode)) {
    case "required": return "create.noPasscode";
    case "not_unicode":
    case "control_characters": return "create.passcodeInvisible";
    case "too_long":
      return (locale) => locale.t("create.passcodeTooLong", { size: lengthOf(passcode), max: MAX_CHARACTERS });
    default: return null;
  }
}

/** @param {number} textBytes */
function blobBytes(textBytes) {
  return padded(textBytes + HEADER_BYTES) + TAG_BYTES;
}

/** Find the size of the longest text that the server accepts once it is encrypted. @param {number} payloadBytes */
function maxTextBytes(payloadBytes) {
  let [fits, tooLong] = [0, payloadBytes];
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (blobBytes(middle) <= payloadBytes) fits = middle;
    else tooLong = middle;
  }
  return fits;
}
