// @ts-check
/** The result of the start page: the link of a created secret, ways to share it, its state, and burning it. */

import { SERVER_URL } from "./api.js";
import { apiWithKey } from "./api-key-panel.js";
import { loadLocale } from "./i18n.js";
import { pollReceipt, stateText } from "./receipt-status.js";
import { fillPrintSheet, loadQrCodes, qrCode, shareMessage } from "./share.js";
import { $, copy, errorText, field, fillSelect, onSecondPress, select, selectText, showDone, showOnly } from "./ui.js";

export { loadQrCodes };

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./i18n.js").Locale} Locale */

/**
 * @typedef {{ link: string, receiptId: string, manageToken: string, expiresAt: number, maxViews: number | null,
 *   passcode: string | null }} Created
 */

/** @type {Created} */
const NONE = { link: "", receiptId: "", manageToken: "", expiresAt: 0, maxViews: 1, passcode: null };

/**
 * @type {{ secret: Created, messageLocale: Promise<Locale> | null, poll: ReturnType<typeof pollReceipt> | null }}
 *   `secret`: the last one created, or NONE; `messageLocale`: the language of the message to share
 */
const state = { secret: NONE, messageLocale: null, poll: null };

/** @type {() => HTMLAnchorElement} */
const receiptLink = () => $("receipt");

/**
 * @param {Page} page
 * @param {Created} secret
 */
export async function showResult(page, secret) {
  state.secret = secret;
  const { link, passcode, receiptId, manageToken } = secret;
  field("link").value = link;
  $("passcode").textContent = passcode;
  $("passcode-card").hidden = !passcode;
  receiptLink().href = `${SERVER_URL}/receipt/${receiptId}#${manageToken}`;
  page.setText($("state-problem"), null);
  page.setText($("status"), null);
  showState(page, "active", "result.title");
  hideQrCode();
  showOnly("result");
  fillPrintSheet($("print-sheet"), page.locale, page.settings.name, secret);
  field("link").focus();
  field("link").select();
  scrollTo(0, 0);
  field("link").scrollLeft = 0; // shows the server's name instead of the end of the key
  startPolling(page);
  if (await copy(link)) confirmCopy(page, $("copy"));
}

/**
 * @param {Page} page
 * @param {() => void} createAnother
 */
export function setUpResult(page, createAnother) {
  setUpSharing(page);
  setUpReceipt(page);
  $("another").addEventListener("click", () => {
    clearResult();
    createAnother();
  });
}

/** Remove everything of the last secret from the page and from memory. */
export function clearResult() {
  state.poll?.stop();
  clearLink();
  state.secret = NONE;
  receiptLink().removeAttribute("href");
}

/** Remove the link and the passcode, once they open nothing. */
function clearLink() {
  Object.assign(state.secret, { link: "", passcode: null });
  field("link").value = "";
  $("passcode").textContent = "";
  $("print-sheet").replaceChildren();
  $("by-hand").textContent = "";
  $("by-hand").hidden = true;
  $("missing")?.remove();
  hideQrCode();
}

/**
 * Show the ways to share the link while it opens something, then only what became of the secret.
 * @param {Page} page
 * @param {string} secretState
 * @param {string} title a key
 */
function showState(page, secretState, title = `event.${secretState}`) {
  const isActive = secretState === "active";
  page.setHead($("result-head"), $("result-title"), title, secretState);
  for (const id of ["result-lead", "sharing", "burn", "receipt-hint"]) $(id).hidden = !isActive;
  $("another").classList.toggle("primary", !isActive);
  if (!isActive) clearLink();
}

/** @param {Page} page */
function setUpSharing(page) {
  const languages = select("message-language");
  page.onLanguage((locale) => {
    fillSelect(languages, Object.entries(page.settings.languages), locale.code);
    state.messageLocale = null;
  });
  // Loaded before the press: some browsers copy and share only right after it.
  languages.addEventListener("change", () => {
    state.messageLocale = loadLocale(languages.value).catch(() => {
      languages.value = page.locale.code;
      page.sayMissing($("show-qr").parentElement);
      return page.locale;
    });
  });
  const message = async () => shareMessage(await state.messageLocale ?? page.locale, state.secret);
  onCopy(page, "copy", () => field("link").value, field("link"));
  onCopy(page, "copy-passcode", () => state.secret.passcode ?? "", $("passcode"));
  onCopy(page, "message", message);
  putShareFirst();
  $("share").addEventListener("click", async () => {
    navigator.share({ text: await message() }).catch(() => {}); // rejects when the person closes the dialog
  });
  $("show-qr").addEventListener("click", async () => {
    if ($("qr").hidden) await showQrCode().catch(() => page.sayMissing($("show-qr").parentElement));
    else hideQrCode();
  });
  $("print").addEventListener("click", async () => {
    const { secret } = state;
    const code = await qrCode(secret.link).catch(() => page.sayMissing($("show-qr").parentElement));
    fillPrintSheet($("print-sheet"), page.locale, page.settings.name, secret, code ?? undefined);
    print();
  });
}

/** Offer the device's share sheet if it has one, on phones before everything else. */
function putShareFirst() {
  const share = $("share");
  share.hidden = !navigator.share;
  if (share.hidden || !matchMedia("(pointer: coarse)").matches) return;
  $("copy").before(share);
  share.classList.replace("secondary", "primary");
  $("copy").classList.replace("primary", "secondary");
}

/**
 * Copy at a press on a button, and say so on it.
 * @param {Page} page
 * @param {string} id of the button
 * @param {() => string | Promise<string>} text
 * @param {HTMLElement} [source] has the text; without one, the text is shown if the browser does not copy
 */
function onCopy(page, id, text, source) {
  $(id).addEventListener("click", async () => {
    const value = await text();
    $("by-hand").hidden = true;
    if (await copy(value)) {
      if (source === field("link")) field("link").select();
      return confirmCopy(page, $(id));
    }
    $("status").classList.remove("visually-hidden");
    page.setText($("status"), "result.copyFailed");
    if (!source) {
      $("by-hand").hidden = false;
      $("by-hand").textContent = value;
    }
    selectText(source ?? $("by-hand"));
  });
}

/**
 * Say on the button, and to screen readers, that it has copied.
 * @param {Page} page
 * @param {HTMLElement} button
 */
function confirmCopy(page, button) {
  showDone(button, page);
  $("status").classList.add("visually-hidden");
  page.setText($("status"), "result.copied");
}

async function showQrCode() {
  const figure = $("qr");
  figure.querySelector("svg")?.remove();
  const code = await qrCode(state.secret.link);
  code.setAttribute("aria-labelledby", "qr-hint");
  figure.prepend(code);
  figure.hidden = false;
  $("show-qr").setAttribute("aria-expanded", "true");
}

function hideQrCode() {
  $("qr").hidden = true;
  $("qr").querySelector("svg")?.remove();
  $("show-qr").setAttribute("aria-expanded", "false");
}

/** @param {Page} page */
function startPolling(page) {
  const { receiptId, manageToken, expiresAt } = state.secret;
  page.setText($("state"), (locale) => locale.t("state.active", { until: locale.dateTime(expiresAt) }));
  state.poll?.stop();
  state.poll = pollReceipt(() => apiWithKey().receipt(receiptId, manageToken), (receipt) => {
    if (receipt.state !== "active") showState(page, receipt.state);
    page.setText($("state"), stateText(receipt));
    page.setText($("state-problem"), null);
  }, (error) => {
    if (error?.code === "not_found") showState(page, "problem", "error.gone");
    page.setText($("state-problem"), errorText(error));
  });
}

/** @param {Page} page */
function setUpReceipt(page) {
  onCopy(page, "copy-receipt", () => receiptLink().href);
  onSecondPress($("burn"), page, async () => {
    const { receiptId, manageToken } = state.secret;
    try {
      await apiWithKey().remove(receiptId, manageToken);
    } catch (error) {
      page.setText($("state-problem"), errorText(error));
    }
    state.poll?.now();
  });
}
