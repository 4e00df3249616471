// @ts-check
/** Asks about a typed passcode that has a space too many or look-alikes, before an attempt is spent on it. */

import { passcodeCandidates } from "./dictated-passcode.js";
import { cleaned } from "./passcode.js";
import { $, field } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */

/** @type {[RegExp, string | ((found: string) => string)][]} */
const PLAIN = [
  [/\p{Zs}/gu, " "], [/[‘’‛′ʼ]/g, "'"], [/[“”„‟″]/g, '"'], [/[‐‑‒–—−]/g, "-"], [/…/g, "..."],
  [/[\uFF01-\uFF5E]/g, (found) => String.fromCharCode(found.charCodeAt(0) - 0xFEE0)], // full-width forms of ASCII
  [/^ +| +$/g, ""],
];
const OUTER_SPACES = /^\p{Zs}+|\p{Zs}+$/gu;

/**
 * Set up the question. `attempt` is called once it is answered.
 * @param {Page} page
 * @param {() => void} attempt
 */
export function setUpPasscodeQuestion(page, attempt) {
  $("form").addEventListener("input", () => hide(page));
  $("try-typed").addEventListener("click", () => {
    hide(page);
    attempt();
  });
  $("try-plain").addEventListener("click", () => {
    field("passcode").value = plainer(cleaned(field("passcode").value));
    hide(page);
    attempt();
  });
}

/**
 * Ask if another passcode is meant. Return false if there is nothing to ask.
 * @param {Page} page
 * @param {string} typed
 * @param {string[]} languages of the lists that its words may be on
 */
export async function askAboutPasscode(page, typed, languages) {
  const passcode = cleaned(typed);
  const plain = plainer(passcode);
  if (!plain || plain === passcode || (await passcodeCandidates(passcode, languages)).length > 1) return false;
  const inner = passcode.replace(OUTER_SPACES, "");
  page.setText($("passcode-question"), plainer(inner) === inner ? "reveal.askSpace" : "reveal.askLookAlike");
  $("passcode-answers").hidden = false;
  $("try-plain").focus();
  return true;
}

/** @param {Page} page */
function hide(page) {
  page.setText($("passcode-question"), null);
  $("passcode-answers").hidden = true;
}

/**
 * Return the passcode that may be meant by a cleaned one: without spaces around it, with ordinary spaces, quotes and
 * dashes.
 * @param {string} passcode
 */
export function plainer(passcode) {
  return PLAIN.reduce((text, [look, plain]) => text.replace(look, /** @type {string} */ (plain)), passcode);
}
