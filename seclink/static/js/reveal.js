// @ts-check
/**
 * The reader's page. Loading it looks (meta) and spends nothing; only the press on the button reveals. What does not
 * authenticate is never shown. Everything is wiped when the page is left, and after a while of nobody touching it.
 */

import { api, once } from "./api.js";
import { toBase64 } from "./bytes.js";
import { cleaned } from "./link.js";
import { unlock as opener } from "./secrets.js";
import { show } from "./showing.js";
import { $, busy, download, explained, only, openPage, rough, twice } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./i18n.js").Words} Words */

const linkId = location.pathname.split("/").pop() ?? "";
const server = api();
const IDLE_SECONDS = 600;
const STIRRING = ["pointerdown", "keydown", "scroll"];

/** @type {any} what the server said before revealing */
let meta;
/** @type {any} what else was to be revealed with, for destroying; nothing else of the key is kept */
let proof;
/** @type {any} the server's answer to the reveal, without the secret */
let answer;
/** @type {{ passcode: string | null, headers: Record<string, string> } | null} a reveal whose answer may have been lost */
let asked = null;
let idleSince = 0;
let ticking = 0;

const opened = await openPage();
if (opened) start(opened);

/** @param {Page} page */
function start(page) {
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    reveal(page);
  });
  $("form").addEventListener("input", () => page.put($("problem"), null));
  $("report-form").addEventListener("submit", (event) => {
    event.preventDefault();
    report(page);
  });
  twice($("destroy"), page, "opened.destroySure", () => destroy(page));
  $("wipe-now").addEventListener("click", () => wipe(page));
  // The whole link pasted over half of one: only the fragment changes, so the browser does not load again.
  addEventListener("hashchange", () => location.hash && !answer && look(page));
  addEventListener("pagehide", () => wipe(page));
  look(page);
}

// Looking

/** @param {Page} page */
async function look(page) {
  const fragment = cleaned(location.hash);
  asked = null;
  if (!fragment && history.state?.openedAt) return before(page, history.state.openedAt);
  only("waiting");
  try {
    await opener(fragment, "raw"); // refuses a mangled link before anything is asked of the server
    meta = await server.meta(linkId);
    await opener(fragment, meta.format);
    if (fragment === cleaned(location.hash)) offer(page);
  } catch (error) {
    if (fragment === cleaned(location.hash)) trouble(page, error);
  }
  document.body.dataset.ready = "";
}

/** @param {Page} page */
function offer(page) {
  const { publicNote, viewsLeft, expiresAt, passcodeRequired, attemptsLeft } = meta;
  $("note").hidden = !publicNote;
  $("note-text").textContent = publicNote;
  page.put($("left"), (words) => viewsLeft === null ? words.t("reveal.leftAny") : words.t("reveal.left", { count: viewsLeft }));
  page.put($("until"), (words) => words.t("reveal.until", { until: words.when(expiresAt) }));
  $("passcode-field").hidden = !passcodeRequired;
  tries(page, attemptsLeft);
  page.put($("problem"), null);
  $("report").hidden = false;
  only("ready");
  $(passcodeRequired ? "passcode" : "reveal").focus();
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
  const input = /** @type {HTMLInputElement} */ ($("passcode"));
  const passcode = meta.passcodeRequired ? input.value : null;
  if (passcode === "") {
    page.put($("problem"), "reveal.noPasscode");
    return input.focus();
  }
  if (/** @type {HTMLButtonElement} */ ($("reveal")).disabled) return;
  try {
    await busy($("reveal"), page, "reveal.opening", () => claim(page, passcode));
  } catch (error) {
    failed(page, error);
  }
}

/**
 * @param {Page} page
 * @param {string | null} passcode
 */
async function claim(page, passcode) {
  const { unlock } = await opener(cleaned(location.hash), meta.format);
  const key = await unlock(cleaned(location.hash), passcode);
  // The same question again after a lost answer: the server gives that answer again, for a minute.
  if (asked?.passcode !== passcode) asked = { passcode, headers: once() };
  const { encryptedBlob, iv, ...rest } = await server.reveal(linkId, key.proof, asked?.headers);
  asked = null;
  proof = key.proof;
  answer = rest;
  let secret;
  try {
    secret = await key.open(encryptedBlob, iv);
  } catch (error) {
    if (/** @type {any} */ (error)?.code !== "not_authentic") throw error;
    return unopened(page, encryptedBlob, iv);
  }
  // Only now: a key that is still in the address can be tried again.
  history.replaceState({ openedAt: Date.now() }, "", location.pathname + location.search);
  /** @type {HTMLInputElement} */ ($("passcode")).value = "";
  present(page, secret);
}

/**
 * @param {Page} page
 * @param {any} error
 */
function failed(page, error) {
  if (error?.code === "passcode_wrong" || error?.code === "passcode_required") {
    tries(page, error.attemptsLeft ?? null);
    page.put($("problem"), "reveal.wrongPasscode");
    /** @type {HTMLInputElement} */ ($("passcode")).select();
  } else if (error?.code === "passcode_locked") {
    tries(page, 0);
    page.put($("problem"), (words) => words.t("locked.what", { time: words.span(rough(error.retryAfter ?? 60)) }));
  } else if (error?.code === "unreachable" || error?.code === "bad_answer") {
    page.put($("problem"), error.code === "unreachable" ? "offline.what" : "badAnswer.what");
  } else if (["gone", "not_found", "access_denied", "access_required", "link_incomplete"].includes(error?.code)) {
    trouble(page, error);
  } else {
    page.put($("problem"), explained(error));
  }
}

/**
 * @param {Page} page
 * @param {import("./showing.js").Opened} secret
 */
function present(page, secret) {
  const isNeogram = secret.type === "neogram";
  $("opened-title").dataset.t = isNeogram ? "opened.neogram" : "opened.title";
  $("opened-title").textContent = page.words.t(isNeogram ? "opened.neogram" : "opened.title");
  page.put($("said"), null);
  page.put($("fate"), fate());
  $("destroy").hidden = !(answer.viewsLeft !== 0 && proof.access);
  only("opened");
  $("opened-title").focus();
  show($("content"), page, secret, (key) => page.put($("said"), key)).then(() => wipe(page));
  watchIdle(page);
}

/** @returns {(words: Words) => string} */
function fate() {
  const { viewsLeft: count, expiresAt } = answer;
  const key = count === 0 ? "opened.lastOne" : count === null ? "opened.leftAny" : "opened.left";
  return (words) => words.t(key, { count, until: words.when(expiresAt) });
}

/** @param {Page} page */
async function destroy(page) {
  try {
    await server.burn(linkId, proof);
    answer.viewsLeft = 0;
    $("destroy").hidden = true;
    page.put($("fate"), "opened.destroyed");
  } catch (error) {
    page.put($("fate"), explained(error));
  }
}

// Wiping

/** @param {Page} page */
function watchIdle(page) {
  const stir = () => (idleSince = performance.now());
  stir();
  for (const each of STIRRING) addEventListener(each, stir, { passive: true });
  const tick = () => {
    const left = IDLE_SECONDS - (performance.now() - idleSince) / 1000;
    if (left <= 0) wipe(page);
    else page.put($("wipe"), (words) => words.t("opened.wipesIn", { time: words.span(rough(left)) }));
  };
  tick();
  ticking = setInterval(tick, 1000);
}

/**
 * Take everything of the secret out of the page and out of reach.
 * @param {Page} page
 */
function wipe(page) {
  clearInterval(ticking);
  $("content").replaceChildren();
  /** @type {HTMLInputElement} */ ($("passcode")).value = "";
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

// What can go wrong

/**
 * What came does not open. Of a raw secret, which may have been encrypted in any way, it is handed on as it came.
 * @param {Page} page
 * @param {Uint8Array} blob
 * @param {Uint8Array} iv
 */
function unopened(page, blob, iv) {
  if (proof.access) { // a link of ours, whatever the server says the format is
    return page.notice("notAuthentic.title", ["notAuthentic.what", "notAuthentic.next"]);
  }
  const file = new TextEncoder().encode(JSON.stringify({ encryptedBlob: toBase64(blob), iv: toBase64(iv) }));
  const button = page.element("button", "rawFailed.download", { type: "button", className: "primary" });
  button.addEventListener("click", () => download(file, `${linkId}.json`));
  page.notice("rawFailed.title", ["rawFailed.what"], [button]);
}

/**
 * @param {Page} page
 * @param {any} error
 */
function trouble(page, error) {
  const again = page.element("button", "trouble.again", { type: "button", className: "primary" });
  again.addEventListener("click", () => look(page));
  const code = error?.code;
  $("report").hidden = code !== "gone";
  if (code === "gone") gone(page, error);
  else if (code === "not_found") page.notice("notFound.title", ["notFound.what", "notFound.next"]);
  else if (["link_incomplete", "access_denied", "access_required"].includes(code)) {
    page.notice("incomplete.title", ["incomplete.what", "incomplete.next"]);
  } else if (code === "unreachable") page.notice("offline.title", ["offline.what"], [again]);
  else page.notice("trouble.title", [code === "bad_answer" ? "badAnswer.what" : explained(error)], [again]);
}

/**
 * @param {Page} page
 * @param {any} error
 */
function gone(page, { state, endedAt }) {
  const kind = ["revealed", "burned", "expired"].includes(state) ? state : "burned";
  page.notice(`gone.${kind}`, [
    (words) => words.t(`gone.${kind}What`, { at: endedAt ? words.when(endedAt) : words.t("gone.unknownTime") }),
    kind === "expired" ? "gone.ask" : "gone.tell",
  ]);
}

/** @param {Page} page */
async function report(page) {
  const reason = /** @type {HTMLTextAreaElement} */ ($("reason"));
  try {
    await server.report(linkId, reason.value.trim());
    reason.value = "";
    page.put($("report-said"), "report.sent");
  } catch (error) {
    page.put($("report-said"), explained(error));
  }
}
