// @ts-check
/**
 * The reader's page. Loading it looks (meta) and spends nothing; only the press on the button reveals. What does not
 * authenticate is never shown. Everything is wiped when the page is left, and after a while of nobody touching it.
 */

import { secretFromUrl } from "./secret-url.js";
import { api, once } from "./api.js";
import { attemptDictated } from "./dictated-passcode.js";
import { startIdleTimer } from "./idle-timer.js";
import { checkFragment, openerFor } from "./openers.js";
import { setUpReportForm } from "./abuse-report.js";
import { fate, show } from "./secret-view.js";
import { trouble, unopened } from "./error-view.js";
import { $, busy, errorText, field, only, openPage, rough, twice } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./error-view.js").Came} Came */
/** @typedef {{ linkId: string, fragment: string, formats: string[], href: string }} Seen */

const server = api();
const IDLE_SECONDS = 600;

let linkId = "";
/** @type {Seen | null} what is offered: a press is about this, whatever the address says since */
let seen = null;
/** @type {any} what the server said before revealing */
let meta;
/** whether there is a passcode to ask for: the server's, or one that it knows nothing of */
let asksPasscode = false;
/** @type {any} what else was to be revealed with, for destroying; nothing else of the key is kept */
let proof;
/** @type {any} the server's answer to the reveal, without the secret */
let answer;
/** @type {{ question: string, headers: Record<string, string> } | null} a reveal whose answer may have been lost */
let asked = null;
/** @type {Came | null} what came and did not open, for another passcode */
let kept = null;
let unwatch = () => {};

const opened = await openPage();
if (opened) start(opened);

/** @param {Page} page */
function start(page) {
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    reveal(page);
  });
  $("form").addEventListener("input", () => page.put($("problem"), null));
  setUpReportForm(page, (reason) => server.report(linkId, reason));
  twice($("destroy"), page, "opened.destroySure", () => destroy(page));
  $("wipe-now").addEventListener("click", () => wipe(page));
  addEventListener("hashchange", () => moved(page));
  addEventListener("pagehide", () => wipe(page));
  look(page);
}

// Looking

/** @param {Page} page */
async function look(page) {
  const { hash, href } = location;
  asked = seen = null;
  $("report").hidden = true;
  if (!hash && history.state?.openedAt) return before(page, history.state.openedAt);
  only("waiting");
  try {
    const at = await secretFromUrl(location);
    if (hash !== location.hash) return;
    linkId = at.linkId;
    await checkFragment(at.fragment, at.formats); // refuses a mangled link before anything is asked of the server
    const found = await server.meta(at.linkId);
    const { LOCAL_PASSCODE = false } = await openerFor(at.fragment, found.format, at.formats);
    if (hash !== location.hash) return;
    [meta, asksPasscode, seen] = [found, found.passcodeRequired || LOCAL_PASSCODE, { ...at, href }];
    offer(page);
  } catch (error) {
    if (hash === location.hash) trouble(page, error, () => look(page));
  }
  document.body.dataset.ready = "";
}

/**
 * Another link pasted into this tab, or the whole of one over half of it: the browser does not load for a fragment.
 * @param {Page} page
 */
async function moved(page) {
  const { hash } = location;
  // What was pressed comes first: it may be spent, and nowhere else. The address says again whose it is.
  if (seen && (kept || field("reveal").disabled)) return history.replaceState(history.state, "", seen.href);
  const at = answer && (await secretFromUrl(location).catch(() => null));
  if (hash !== location.hash) return;
  if (answer && !seen && at?.linkId === linkId) return forget(); // open already, perhaps for the last time
  wipe(page);
  look(page);
}

/** @param {Page} page */
function offer(page) {
  const { publicNote, viewsLeft, expiresAt, attemptsLeft } = meta;
  $("note").hidden = !publicNote;
  $("note-text").textContent = publicNote;
  const left = viewsLeft === null ? "reveal.leftAny" : "reveal.left";
  page.put($("left"), (words) => words.t(left, { count: viewsLeft }));
  page.put($("until"), (words) => words.t("reveal.until", { until: words.when(expiresAt) }));
  $("passcode-field").hidden = !asksPasscode;
  tries(page, attemptsLeft);
  page.put($("problem"), null);
  $("report").hidden = false;
  only("ready");
  $(asksPasscode ? "passcode" : "reveal").focus();
}

/**
 * @param {Page} page
 * @param {number | null} left
 */
function tries(page, left) {
  page.put($("passcode-hint"), (words) =>
    [words.t("reveal.passcodeHint"), left === null ? "" : words.t("reveal.tries", { count: left })].join(" ").trim());
}

// Revealing

/** @param {Page} page */
async function reveal(page) {
  const input = field("passcode");
  const passcode = asksPasscode ? input.value : null;
  if (passcode === "") {
    page.put($("problem"), kept ? "reveal.wrongHere" : "reveal.noPasscode");
    return input.focus();
  }
  /** @type {HTMLButtonElement} */
  const button = $("reveal");
  const here = seen;
  if (button.disabled || !here) return;
  try {
    await busy(button, page, "reveal.opening", () => attemptDictated(passcode, (said) => claim(page, said, here)));
  } catch (error) {
    failed(page, error);
  }
}

/**
 * @param {Page} page
 * @param {string | null} passcode
 * @param {Seen} here
 */
async function claim(page, passcode, here) {
  const { fragment, formats } = here;
  const key = await (await openerFor(fragment, meta.format, formats)).unlock(fragment, passcode);
  const came = kept ?? await fetched(key.proof, here);
  kept = null;
  let secret;
  try {
    secret = await key.open(came.encryptedBlob, came.iv);
  } catch (error) {
    const { code } = /** @type {any} */ (error);
    if (code === "passcode_wrong" && answer) keep(page, came);
    if (code !== "not_authentic") throw error;
    return unopened(page, came, meta.format === "raw" ? `${here.linkId}.json` : null);
  }
  removeEventListener("beforeunload", ask);
  if (!answer) return; // the page was left meanwhile
  // Only now: a key that is still in the address can be tried again.
  seen = null;
  forget();
  field("passcode").value = "";
  present(page, secret);
}

/** The key leaves the address. */
function forget() {
  history.replaceState({ openedAt: Date.now() }, "", location.pathname + location.search);
}

/**
 * @param {import("./formats.js").Proof} shown
 * @param {Seen} here
 */
async function fetched(shown, here) {
  const question = JSON.stringify(shown);
  // The same question again after a lost answer: the server gives that answer again, for a minute.
  if (asked?.question !== question) asked = { question, headers: once() };
  const { encryptedBlob, iv, ...rest } = await server.reveal(here.linkId, shown, asked?.headers);
  asked = null;
  proof = shown;
  answer = rest;
  return { encryptedBlob, iv };
}

/**
 * @param {Page} page
 * @param {any} error
 */
function failed(page, error) {
  if (error?.code === "passcode_required" && !asksPasscode) {
    // Set since the page was loaded, or not mentioned then.
    asksPasscode = true;
    $("passcode-field").hidden = false;
    page.put($("problem"), "reveal.noPasscode");
    $("passcode").focus();
  } else if (error?.code === "passcode_wrong" || error?.code === "passcode_required") {
    tries(page, error.attemptsLeft ?? null);
    page.put($("problem"), kept ? "reveal.wrongHere" : "reveal.wrongPasscode");
    field("passcode").select();
  } else if (error?.code === "passcode_locked") {
    tries(page, 0);
    page.put($("problem"), (words) => words.t("locked.what", { time: words.span(rough(error.retryAfter ?? 60)) }));
  } else if (error?.code === "unreachable" || error?.code === "bad_answer") {
    page.put($("problem"), error.code === "unreachable" ? "offline.what" : "badAnswer.what");
  } else if (["gone", "not_found", "access_denied", "access_required", "link_incomplete"].includes(error?.code)) {
    trouble(page, error, () => look(page));
  } else {
    page.put($("problem"), errorText(error));
  }
}

/**
 * What came may be here and nowhere else now: it is not asked for again, and the browser asks before the page is left.
 * @param {Page} page
 * @param {Came} came
 */
function keep(page, came) {
  kept = came;
  page.put($("left"), null);
  page.put($("until"), null);
  addEventListener("beforeunload", ask);
}

/** @param {BeforeUnloadEvent} event */
function ask(event) {
  event.preventDefault();
  event.returnValue = true; // browsers before 2024 go by this alone
}

/**
 * @param {Page} page
 * @param {import("./secret-view.js").Opened} secret
 */
function present(page, secret) {
  const isNeogram = secret.type === "neogram";
  $("opened-title").dataset.t = isNeogram ? "opened.neogram" : "opened.title";
  $("opened-title").textContent = page.words.t(isNeogram ? "opened.neogram" : "opened.title");
  page.put($("said"), null);
  page.put($("fate"), fate(answer));
  $("destroy").hidden = !(answer.viewsLeft !== 0 && proof.access);
  only("opened");
  $("opened-title").focus();
  const ends = show($("content"), page, secret, (key) => page.put($("said"), key)) * 1000 + performance.now();
  unwatch = startIdleTimer(IDLE_SECONDS, (idle) => wipesIn(page, idle, (ends - performance.now()) / 1000));
}

/**
 * Of the two ends, that of a neogram and that of a page left alone, the first is the one to tell.
 * @param {Page} page
 * @param {number} idle seconds
 * @param {number} played seconds
 */
function wipesIn(page, idle, played) {
  if (Math.min(idle, played) <= 0) wipe(page);
  else if (idle < played) page.put($("wipe"), (words) => words.t("opened.wipesIn", { time: words.span(rough(idle)) }));
  else page.put($("wipe"), (words) => words.t("opened.neogramWipes", { count: Math.ceil(played) }));
}

/** @param {Page} page */
async function destroy(page) {
  const mine = answer;
  try {
    await server.burn(linkId, proof);
    mine.viewsLeft = 0;
    if (mine !== answer) return;
    $("destroy").hidden = true;
    page.put($("fate"), "opened.destroyed");
  } catch (error) {
    page.put($("fate"), errorText(error));
  }
}

// Wiping

/**
 * Take everything of the secret out of the page and out of reach.
 * @param {Page} page
 */
function wipe(page) {
  unwatch();
  $("content").replaceChildren();
  field("passcode").value = "";
  if (kept) return; // still sealed, and lost if it were wiped
  proof = null;
  if (!answer) return;
  const isGone = answer.viewsLeft === 0;
  page.notice("wiped.title", ["wiped.what", isGone ? "wiped.gone" : "wiped.left"]);
  answer = null;
}

/**
 * @param {Page} page
 * @param {number} openedAt
 */
function before(page, openedAt) {
  page.notice("wiped.title", [(words) => words.t("wiped.before", { at: words.when(openedAt) })]);
  document.body.dataset.ready = "";
}
