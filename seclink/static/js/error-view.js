// @ts-check
/** The cards of the reader's page for errors: what happened, what it cost, and what to do. */

import { toBase64 } from "./bytes.js";
import { download } from "./secret-view.js";
import { $, errorText, roundUp } from "./ui.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./ui.js").Page} Page */
/** @typedef {{ encryptedBlob: Bytes, iv: Bytes }} Ciphertext */

// The browser found a part of the link missing, or the server says that the link's key is not the secret's.
const INCOMPLETE = ["link_incomplete", "access_denied", "access_required"];

/** Return true for errors after which another attempt with the same link cannot help. @param {any} error */
export function endsPage(error) {
  return ["gone", "not_found", ...INCOMPLETE].includes(error?.code);
}

/**
 * Return the text for an error of a reveal after which the button is offered again.
 * @param {any} error
 * @returns {import("./ui.js").Text}
 */
export function revealErrorText(error) {
  const time = roundUp(error?.retryAfter ?? 60);
  switch (error?.code) {
    case "unreachable": return "offline.what";
    case "bad_answer": return "badAnswer.what";
    case "passcode_locked": return (locale) => locale.t("locked.what", { time: locale.duration(time) });
    default: return errorText(error);
  }
}

/**
 * @param {Page} page
 * @param {any} error
 * @param {() => void} retry
 */
export function showError(page, error, retry) {
  const button = page.element("button", "trouble.again", { type: "button", className: "primary" });
  button.addEventListener("click", retry);
  const code = error?.code;
  $("report").hidden = code !== "gone";
  if (code === "gone") showGone(page, error);
  else if (code === "not_found") page.showNotice("notFound.title", ["notFound.what", "notFound.next"]);
  else if (INCOMPLETE.includes(code)) page.showNotice("incomplete.title", ["incomplete.what", "incomplete.next"]);
  else if (code === "unreachable") page.showNotice("offline.title", ["offline.what"], [button]);
  else page.showNotice("trouble.title", [code === "bad_answer" ? "badAnswer.what" : errorText(error)], [button]);
}

/**
 * @param {Page} page
 * @param {any} error
 */
function showGone(page, { state, endedAt }) {
  const kind = ["revealed", "burned", "expired"].includes(state) ? state : "burned";
  page.showNotice(`gone.${kind}`, [
    endedAt ? (locale) => locale.t(`gone.${kind}What`, { at: locale.dateTime(endedAt) }) : "gone.unknownTime",
    kind === "expired" ? "gone.ask" : "gone.tell",
  ], [], kind === "revealed" ? "wiped" : kind);
}

/**
 * Show that the ciphertext cannot be decrypted. A raw secret may be encrypted in any way, so it is offered as a file.
 * @param {Page} page
 * @param {Ciphertext} ciphertext
 * @param {string | null} fileName null: no file is offered
 */
export function showUndecryptable(page, { encryptedBlob, iv }, fileName) {
  if (fileName === null) return page.showNotice("notAuthentic.title", ["notAuthentic.what", "notAuthentic.next"]);
  const file = new TextEncoder().encode(JSON.stringify({ encryptedBlob: toBase64(encryptedBlob), iv: toBase64(iv) }));
  const button = page.element("button", "rawFailed.download", { type: "button", className: "primary" });
  button.addEventListener("click", () => download(file, fileName));
  page.showNotice("rawFailed.title", ["rawFailed.what"], [button]);
}
