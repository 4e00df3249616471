// @ts-check
/**
 * The reader's page. Loading it checks the link and spends nothing; only a press on the button reveals the secret.
 * reveal-state.js lists the phases it goes through.
 */

import { setUpReportForm } from "./abuse-report.js";
import { api, idempotencyHeader } from "./api.js";
import { attemptDictated } from "./dictated-passcode.js";
import { endsPage, revealErrorText, showError, showUndecryptable } from "./error-view.js";
import { startIdleTimer } from "./idle-timer.js";
import { keepKey, keptHash, onOtherLink, ownUrl, replaceAddress } from "./kept-key.js";
import { checkLink } from "./link-check.js";
import { openerFor } from "./openers.js";
import { askAboutPasscode, setUpPasscodeQuestion } from "./passcode-question.js";
import { enter, state } from "./reveal-state.js";
import { secretFromUrl } from "./secret-url.js";
import { remainingViewsText, showSecret } from "./secret-view.js";
import { loadWords } from "./word-lists.js";
import { $, errorText, field, onSecondPress, openPage, roundUp, showOnly, whileBusy } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./error-view.js").Ciphertext} Ciphertext */
/** @typedef {import("./openers.js").Proof} Proof */
/** @typedef {import("./reveal-state.js").Link} Link */

const IDLE_SECONDS = 600;
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
  onSecondPress($("burn"), page, "opened.burnSure", () => burn(page));
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
    if (turn !== state.turn) return;
    enter("offered", offer);
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
  removeEventListener("beforeunload", confirmLeaving);
  if (!state.response) return; // wiped meanwhile
  enter("opened", { link: null });
  removeKey(); // only now: a failed attempt still needs the key
  field("passcode").value = "";
  showOpened(page, secret);
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
  const { encryptedBlob, iv, ...response } = await server.reveal(linkId, proof, state.pending.headers);
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
  addEventListener("beforeunload", confirmLeaving);
}

/** @param {BeforeUnloadEvent} event */
function confirmLeaving(event) {
  event.preventDefault();
  event.returnValue = true; // for browsers before 2024
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

// The opened secret

/**
 * @param {Page} page
 * @param {import("./openers.js").Opened} secret
 */
function showOpened(page, secret) {
  $("opened-head").after($("note")); // stays in view: it says what the secret is for
  page.setHead($("opened-head"), $("opened-title"), secret.type === "neogram" ? "opened.neogram" : "opened.title", "revealed");
  page.setText($("status"), null);
  page.setText($("remaining"), remainingViewsText(state.response));
  $("burn").hidden = state.response.viewsLeft === 0 || !state.proof?.access;
  showOnly("opened");
  $("opened-title").focus();
  const seconds = showSecret($("content"), page, secret, (key) => {
    $("status").classList.toggle("visually-hidden", key === "result.copied"); // then the button says it
    page.setText($("status"), key);
  });
  const endsAt = performance.now() + seconds * 1000;
  state.stopIdleTimer = startIdleTimer(IDLE_SECONDS, (idle) =>
    countDown(page, idle, (endsAt - performance.now()) / 1000));
}

/**
 * Show the time until the page is wiped for lack of activity or as a neogram that has been read, whichever is first.
 * @param {Page} page
 * @param {number} idle remaining seconds
 * @param {number} reading remaining seconds
 */
function countDown(page, idle, reading) {
  const time = roundUp(idle);
  if (Math.min(idle, reading) <= 0) wipe(page);
  else page.setText($("countdown"), (locale) => idle < reading
    ? locale.t("opened.wipesIn", { time: locale.duration(time) })
    : locale.t("opened.neogramWipes", { count: Math.ceil(reading) }));
}

/** @param {Page} page */
async function burn(page) {
  const { linkId, proof, response } = state;
  try {
    await server.burn(linkId, proof ?? {});
    response.viewsLeft = 0;
    if (response !== state.response) return; // wiped meanwhile
    $("burn").hidden = true;
    page.setText($("remaining"), "opened.burned");
  } catch (error) {
    page.setText($("remaining"), errorText(error));
  }
}

/**
 * Remove everything of the secret from the page and from memory.
 * @param {Page} page
 */
function wipe(page) {
  const { response, ciphertext } = state;
  state.stopIdleTimer();
  $("content").replaceChildren();
  field("passcode").value = "";
  if (ciphertext) return; // still encrypted, and it exists nowhere else
  state.proof = null;
  if (!response) return;
  enter("wiped", { response: null });
  page.showNotice("wiped.title", ["wiped.what", response.viewsLeft === 0 ? "wiped.gone" : "wiped.left"], [], "wiped");
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
