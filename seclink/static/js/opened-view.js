// @ts-check
/** The card of an opened secret: what is in it, its files, how often it can still be opened, and when it is wiped. */

import { startIdleTimer } from "./idle-timer.js";
import { state } from "./reveal-state.js";
import { remainingViewsText, showSecret } from "./secret-view.js";
import { $, errorText, roundUp, showOnly } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./ui.js").Text} Text */
/** @typedef {ReturnType<import("./api.js").api>} Server */

const IDLE_SECONDS = 600;

/**
 * @param {Page} page
 * @param {Server} server
 * @param {import("./openers.js").Opened} secret
 * @param {() => void} wipe
 */
export function showOpened(page, server, secret, wipe) {
  $("opened-head").after($("note")); // stays in view: it says what the secret is for
  page.setHead($("opened-head"), $("opened-title"), secret.type === "neogram" ? "opened.neogram" : "opened.title", "revealed");
  page.setText($("status"), null);
  page.setText($("remaining"), remainingViewsText(state.response));
  $("burn").hidden = state.response.viewsLeft === 0 || !state.proof?.access;
  showOnly("opened");
  $("opened-title").focus();
  const announce = (/** @type {Text} */ text) => {
    $("status").classList.toggle("visually-hidden", text === "result.copied"); // then the button says it
    page.setText($("status"), text);
  };
  const seconds = showSecret($("content"), page, secret, announce);
  showFiles(page, server, secret, announce);
  const endsAt = performance.now() + seconds * 1000;
  const onTick = (/** @type {number} */ idle) => countDown(page, idle, (endsAt - performance.now()) / 1000, wipe);
  state.stopIdleTimer = startIdleTimer(IDLE_SECONDS, onTick, () => Boolean(state.files?.isWanted));
}

/**
 * Show the files below the text, or instead of an empty one.
 * @param {Page} page
 * @param {Server} server
 * @param {import("./openers.js").Opened} secret
 * @param {(text: Text) => void} announce
 */
function showFiles(page, server, { body, stream }, announce) {
  if (!stream || !state.saving) return;
  if (!body.length) $("content").replaceChildren();
  const { response } = state;
  const { files } = response;
  state.files = new state.saving.FileList(page, server, stream, files, announce, () => {
    delete response.files; // this reader has no more of them on the server
    if (response === state.response) page.setText($("remaining"), body.length ? remainingViewsText(response) : null);
  });
  $("content").append(state.files.root);
}

/**
 * Show the time until the page is wiped for lack of activity or as a neogram that has been read, whichever is first.
 * @param {Page} page
 * @param {number} idle remaining seconds
 * @param {number} reading remaining seconds
 * @param {() => void} wipe
 */
function countDown(page, idle, reading, wipe) {
  const time = roundUp(idle);
  if (Math.min(idle, reading) <= 0) wipe();
  else if (state.files?.isWanted && reading === Infinity) page.setText($("countdown"), null); // there is none until then
  else page.setText($("countdown"), (locale) => idle < reading
    ? locale.t("opened.wipesIn", { time: locale.duration(time) })
    : locale.t("opened.neogramWipes", { count: Math.ceil(reading) }));
}

/**
 * Burn the secret as its reader.
 * @param {Page} page
 * @param {Server} server
 */
export async function burn(page, server) {
  const { linkId, proof, response } = state;
  try {
    await server.burn(linkId, proof ?? {});
    response.viewsLeft = 0;
    if (response !== state.response) return; // wiped meanwhile
    $("burn").hidden = true;
    page.setText($("remaining"), response.files ? remainingViewsText(response) : "opened.burned");
  } catch (error) {
    page.setText($("remaining"), errorText(error));
  }
}
