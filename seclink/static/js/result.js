// @ts-check
/** The result of the start page: the link of a created secret, ways to share it, its state, and burning it. */

import { SERVER_URL } from "./api.js";
import { apiWithKey } from "./api-key-panel.js";
import { loadLocale } from "./i18n.js";
import { pollReceipt, stateText } from "./receipt-status.js";
import { fillPrintSheet, qrCode, shareMessage } from "./share.js";
import { $, copy, errorText, field, fillSelect, onSecondPress, select, showOnly } from "./ui.js";

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
  $("burn").hidden = false;
  hideQrCode();
  showOnly("result");
  fillPrintSheet($("print-sheet"), page.locale, page.settings.name, secret);
  field("link").focus();
  field("link").select();
  field("link").scrollLeft = 0; // shows the server's name instead of the end of the key
  const isCopied = await copy(link);
  page.setText($("status"), isCopied ? "result.linkCopied" : "result.linkNotCopied");
  startPolling(page);
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
  state.secret = NONE;
  field("link").value = "";
  $("passcode").textContent = "";
  receiptLink().removeAttribute("href");
  $("print-sheet").replaceChildren();
  hideQrCode();
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
    state.messageLocale = loadLocale(languages.value).catch(() => page.locale);
  });
  const message = async () => shareMessage(await state.messageLocale ?? page.locale, state.secret);
  $("copy").addEventListener("click", () => copyText(page, field("link").value, "result.linkCopied", field("link")));
  $("copy-passcode").addEventListener("click", () => copyText(page, state.secret.passcode ?? "", "result.copied"));
  $("message").addEventListener("click", async () => copyText(page, await message(), "result.messageCopied"));
  $("share").hidden = !navigator.share;
  $("share").addEventListener("click", async () => {
    navigator.share({ text: await message() }).catch(() => {}); // rejects when the person closes the dialog
  });
  $("show-qr").addEventListener("click", async () => {
    if ($("qr").hidden) await showQrCode();
    else hideQrCode();
  });
  $("print").addEventListener("click", async () => {
    const { secret } = state;
    fillPrintSheet($("print-sheet"), page.locale, page.settings.name, secret, await qrCode(secret.link));
    print();
  });
}

/**
 * @param {Page} page
 * @param {string} text
 * @param {string} key of the text that confirms it
 * @param {HTMLInputElement} [source] selected, for copying by hand
 */
async function copyText(page, text, key, source) {
  const isCopied = await copy(text);
  source?.select();
  page.setText($("status"), isCopied ? key : "result.copyFailed");
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
    $("burn").hidden = receipt.state !== "active";
    page.setText($("state"), stateText(receipt));
    page.setText($("state-problem"), null);
  }, (error) => page.setText($("state-problem"), errorText(error)));
}

/** @param {Page} page */
function setUpReceipt(page) {
  $("copy-receipt").addEventListener("click", () => copyText(page, receiptLink().href, "result.copied"));
  onSecondPress($("burn"), page, "result.burnSure", async () => {
    const { receiptId, manageToken } = state.secret;
    try {
      await apiWithKey().remove(receiptId, manageToken);
    } catch (error) {
      page.setText($("state-problem"), errorText(error));
    }
    state.poll?.now();
  });
}
