// @ts-check
/**
 * The reader's page. Loading it checks the link and spends nothing; only a press on the button reveals the secret.
 * reveal-state.js lists the phases it goes through.
 */

import { setUpReportForm } from "./abuse-report.js";
import { api, idempotencyHeader } from "./api.js";
import { ApiError } from "./api-error.js";
import { confirmLeaving } from "./confirm-leaving.js";
import { attemptDictated } from "./dictated-passcode.js";
import { endsPage, revealErrorText, showError, showUndecryptable } from "./error-view.js";
import { keepKey, keptHash, onOtherLink, ownUrl, replaceAddress } from "./kept-key.js";
import { checkLink } from "./link-check.js";
import { burn, showOpened } from "./opened-view.js";
import { openerFor } from "./openers.js";
import { askAboutPasscode, setUpPasscodeQuestion } from "./passcode-question.js";
import { enter, state } from "./reveal-state.js";
import { secretFromUrl } from "./secret-url.js";
import { loadWords } from "./word-lists.js";
import { $, field, onSecondPress, openPage, showOnly, whileBusy } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./error-view.js").Ciphertext} Ciphertext */
/** @typedef {import("./openers.js").Proof} Proof */
/** @typedef {import("./reveal-state.js").Link} Link */

const server = api();

const opened = await openPage();
if (opened) start(opened);

/** @param {Page} page */
function start(page) {
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit(page);
  });
  $("form").addEventListener("input", () => page.setText($("problem"), null));
  setUpPasscodeQuestion(page, () => submit(page, true));
  setUpReportForm(page, (reason) => server.report(state.linkId, reason));
  onSecondPress($("burn"), page, () => burn(page, server));
  $("wipe").addEventListener("click", () => wipe(page));
  onOtherLink(() => changeLink(page));
  addEventListener("pagehide", () => wipe(page));
  check(page);
}

// Checking the link

/** @param {Page} page */
async function check(page) {
  const turn = {};
  enter("checking", { link: null, pending: null, turn });
  page.setText($("exposed"), null);
  $("report").hidden = true;
  if (!keptHash() && history.state?.openedAt) return showOpenedEarlier(page, history.state.openedAt);
  showOnly("waiting");
  try {
    const offer = await checkLink(server, turn);
    if (offer.needsPasscode) await Promise.allSettled(Object.keys(page.settings.languages).map(loadWords));
    const saving = offer.meta.files ? await loadSaving() : null;
    if (turn !== state.turn) return;
    enter("offered", { ...offer, saving });
    showOffer(page);
  } catch (error) {
    if (turn === state.turn) fail(page, error);
  }
  document.body.dataset.ready = "";
}

/**
 * Check the link that was pasted over the one in the address bar, or that of another entry of the tab's history.
 * @param {Page} page
 */
async function changeLink(page) {
  const { turn } = state;
  const hash = keptHash();
  if (state.link && ["revealing", "locked"].includes(state.phase)) { // finish this one: its view may be spent
    return keepKey(state.link, state.link.fragment);
  }
  const link = state.phase === "opened" && (await secretFromUrl(ownUrl()).catch(() => null));
  if (hash !== keptHash() || turn !== state.turn) return;
  if (state.phase === "opened" && link && link.linkId === state.linkId) return removeKey(); // it is open here
  wipe(page);
  check(page);
}

/** @param {Page} page */
function showOffer(page) {
  const { publicNote, viewsLeft, expiresAt, attemptsLeft } = state.meta;
  $("note").hidden = !publicNote;
  $("note-text").textContent = publicNote;
  const key = viewsLeft === null ? "reveal.leftAny" : "reveal.left";
  page.setText($("views-left"), (locale) => locale.t(key, { count: viewsLeft }));
  page.setText($("expires"), (locale) => locale.t("reveal.until", { until: locale.dateTime(expiresAt) }));
  page.setText($("exposed"), history.state?.isExposed ? "reveal.exposed" : null);
  showFilesOffer(page);
  $("passcode-field").hidden = !state.needsPasscode;
  showAttempts(page, attemptsLeft);
  page.setText($("problem"), null);
  page.setText($("server"), (locale) => locale.t("reveal.server", { host: location.host }));
  $("form").before($("note"));
  $("report").hidden = false;
  page.setTab("reveal.title");
  showOnly("ready");
  $(state.needsPasscode ? "passcode" : "reveal").focus();
}

/**
 * Say how large the files are, and before a view is spent, that this browser cannot save them.
 * @param {Page} page
 */
function showFilesOffer(page) {
  const { meta: { files }, saving } = state;
  const isTooLarge = Boolean(saving) && !saving?.canSave(files.size);
  page.setText($("files-size"), files ? (locale) => locale.t("reveal.files", { size: locale.size(files.size) }) : null);
  page.setText($("files-elsewhere"), isTooLarge ? "reveal.filesElsewhere" : null);
  $("reveal").hidden = isTooLarge;
}

/**
 * Load what saves files before the view is spent: the network may be gone afterwards.
 * @returns {Promise<import("./reveal-state.js").Saving>}
 */
async function loadSaving() {
  try {
    return { ...await import("./file-list.js"), ...await import("./save-targets.js") };
  } catch {
    throw new ApiError("unreachable");
  }
}

/**
 * @param {Page} page
 * @param {number | null} count
 */
function showAttempts(page, count) {
  page.setText($("passcode-hint"), (locale) => [
    locale.t("reveal.passcodeHint"), count === null ? "" : locale.t("reveal.attempts", { count }),
  ].join(" ").trim());
}

// Revealing

/**
 * @param {Page} page
 * @param {boolean} [isConfirmed] the passcode is meant as it is
 */
async function submit(page, isConfirmed = false) {
  const { link, phase } = state;
  if (!link || (phase !== "offered" && phase !== "locked")) return;
  const passcode = state.needsPasscode ? field("passcode").value : null;
  if (passcode === "") {
    page.setText($("problem"), phase === "locked" ? "reveal.wrongHere" : "reveal.noPasscode");
    return field("passcode").focus();
  }
  const languages = Object.keys(page.settings.languages);
  if (passcode && !isConfirmed && await askAboutPasscode(page, passcode, languages)) return;
  if (state.link !== link || state.phase !== phase) return; // changed or submitted meanwhile
  enter("revealing");
  try {
    await whileBusy($("reveal"), page, "reveal.opening", () =>
      attemptDictated(passcode, languages, (candidate) => reveal(page, candidate, link)));
  } catch (error) {
    showRefusal(page, error);
  }
}

/**
 * @param {Page} page
 * @param {string | null} passcode
 * @param {Link} link
 */
async function reveal(page, passcode, link) {
  const { fragment, formats } = link;
  const key = await (await openerFor(fragment, state.meta.format, formats)).unlock(fragment, passcode);
  const ciphertext = state.ciphertext ?? await claim(key.proof, link);
  enter("revealing", { ciphertext: null });
  let secret;
  try {
    secret = await key.open(ciphertext.encryptedBlob, ciphertext.iv);
  } catch (error) {
    const { code } = /** @type {any} */ (error);
    if (code === "passcode_wrong" && state.response) keepCiphertext(page, ciphertext);
    if (code !== "not_authentic") throw error;
    enter("undecryptable");
    return showUndecryptable(page, ciphertext, state.meta.format === "raw" ? `${link.linkId}.json` : null);
  }
  confirmLeaving(false);
  if (!state.response) return; // wiped meanwhile
  enter("opened", { link: null });
  removeKey(); // only now: a failed attempt still needs the key
  field("passcode").value = "";
  showOpened(page, server, secret, () => wipe(page));
}

function removeKey() {
  replaceAddress(location.pathname + location.search, { openedAt: Date.now() });
}

/**
 * Spend a view.
 * @param {Proof} proof
 * @param {Link} link
 */
async function claim(proof, { linkId }) {
  // With the same proof and headers, the server sends a lost response again for a minute.
  const text = JSON.stringify(proof);
  if (state.pending?.proof !== text) state.pending = { proof: text, headers: idempotencyHeader() };
  const body = state.saving ? { ...proof, files: true } : proof;
  const { encryptedBlob, iv, ...response } = await server.reveal(linkId, body, state.pending.headers);
  Object.assign(state, { pending: null, proof, response });
  return { encryptedBlob, iv };
}

/**
 * The view is spent and only this page has the ciphertext: keep it, and let the browser ask before the page is left.
 * @param {Page} page
 * @param {Ciphertext} ciphertext
 */
function keepCiphertext(page, ciphertext) {
  enter("locked", { ciphertext });
  page.setText($("views-left"), null);
  page.setText($("expires"), null);
  confirmLeaving(true);
}

/**
 * Show why the secret was not revealed, and offer the button again if another attempt can help.
 * @param {Page} page
 * @param {any} error
 */
function showRefusal(page, error) {
  if (state.phase !== "revealing" && state.phase !== "locked") return; // wiped meanwhile
  enter(state.ciphertext ? "locked" : "offered");
  const { code, attemptsLeft = null } = error ?? {};
  if (endsPage(error)) fail(page, error);
  else if (code === "passcode_required" && !state.needsPasscode) { // set since the page was loaded
    state.needsPasscode = true;
    $("passcode-field").hidden = false;
    page.setText($("problem"), "reveal.noPasscode");
    $("passcode").focus();
  } else if (code === "passcode_wrong" || code === "passcode_required") {
    showAttempts(page, attemptsLeft);
    page.setText($("problem"), state.phase === "locked" ? "reveal.wrongHere" : "reveal.wrongPasscode");
    field("passcode").select();
  } else {
    if (code === "passcode_locked") showAttempts(page, 0);
    page.setText($("problem"), revealErrorText(error));
  }
}

/**
 * @param {Page} page
 * @param {any} error
 */
function fail(page, error) {
  enter("failed");
  showError(page, error, () => check(page));
}

/**
 * Remove everything of the secret from the page and from memory.
 * @param {Page} page
 */
function wipe(page) {
  const { response, ciphertext } = state;
  state.stopIdleTimer();
  state.files?.stop();
  state.files = null;
  $("content").replaceChildren();
  field("passcode").value = "";
  if (ciphertext) return; // still encrypted, and it exists nowhere else
  state.proof = null;
  if (!response) return;
  enter("wiped", { response: null });
  page.showNotice("wiped.title", ["wiped.what", leftOnServerText(response)], [], "wiped");
}

/**
 * @param {any} response to the reveal
 * @returns {import("./ui.js").Text}
 */
function leftOnServerText({ viewsLeft, files }) {
  if (viewsLeft !== 0) return "wiped.left";
  return files ? (locale) => locale.t("wiped.files", { until: locale.dateTime(files.grantExpiresAt) }) : "wiped.gone";
}

/**
 * @param {Page} page
 * @param {number} openedAt
 */
function showOpenedEarlier(page, openedAt) {
  enter("wiped");
  page.showNotice("wiped.title", [(locale) => locale.t("wiped.before", { at: locale.dateTime(openedAt) })], [], "wiped");
  document.body.dataset.ready = "";
}
