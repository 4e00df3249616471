// @ts-check
/**
 * What can go wrong with a reader's page as a whole: a card that says what happened, what it cost, and what to do.
 */

import { toBase64 } from "./bytes.js";
import { $, download, errorText } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {{ encryptedBlob: Uint8Array, iv: Uint8Array }} Came what a reveal brought */

/**
 * @param {Page} page
 * @param {any} error
 * @param {() => void} look try again
 */
export function trouble(page, error, look) {
  const again = page.element("button", "trouble.again", { type: "button", className: "primary" });
  again.addEventListener("click", look);
  const code = error?.code;
  $("report").hidden = code !== "gone";
  if (code === "gone") gone(page, error);
  else if (code === "not_found") page.notice("notFound.title", ["notFound.what", "notFound.next"]);
  else if (["link_incomplete", "access_denied", "access_required"].includes(code)) {
    page.notice("incomplete.title", ["incomplete.what", "incomplete.next"]);
  } else if (code === "unreachable") page.notice("offline.title", ["offline.what"], [again]);
  else page.notice("trouble.title", [code === "bad_answer" ? "badAnswer.what" : errorText(error)], [again]);
}

/**
 * @param {Page} page
 * @param {any} error
 */
function gone(page, { state, endedAt }) {
  const kind = ["revealed", "burned", "expired"].includes(state) ? state : "burned";
  page.notice(`gone.${kind}`, [
    endedAt ? (words) => words.t(`gone.${kind}What`, { at: words.when(endedAt) }) : "gone.unknownTime",
    kind === "expired" ? "gone.ask" : "gone.tell",
  ]);
}

/**
 * What came does not open. Of a raw secret, which may have been encrypted in any way, it is handed on as it came.
 * @param {Page} page
 * @param {Came} came
 * @param {string | null} name of the file to hand it on in; null for none
 */
export function unopened(page, { encryptedBlob, iv }, name) {
  if (name === null) return page.notice("notAuthentic.title", ["notAuthentic.what", "notAuthentic.next"]);
  const file = new TextEncoder().encode(JSON.stringify({ encryptedBlob: toBase64(encryptedBlob), iv: toBase64(iv) }));
  const button = page.element("button", "rawFailed.download", { type: "button", className: "primary" });
  button.addEventListener("click", () => download(file, name));
  page.notice("rawFailed.title", ["rawFailed.what"], [button]);
}
