// @ts-check
/** What follows sealing: the link and the ways to hand it on, what becomes of it, and the end of it. */

import { SERVER_URL } from "./api.js";
import { load } from "./i18n.js";
import { ask } from "./api-key-panel.js";
import { fate, watch } from "./receipt-status.js";
import { code, fillPrintSheet, message } from "./share.js";
import { $, copy, errorText, field, fillSelect, only, select, twice } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./i18n.js").Words} Words */

/**
 * @typedef {{ link: string, receiptId: string, manageToken: string, expiresAt: number, maxViews: number | null,
 *   passcode: string | null }} Made
 */

const NOTHING = { link: "", receiptId: "", manageToken: "", expiresAt: 0, maxViews: 1, passcode: null };

/** @type {() => HTMLAnchorElement} */
const receiptLink = () => $("receipt");

/** @type {Made} what was sealed last */
let made = NOTHING;
/** @type {Promise<Words>} of the language the message is written in */
let reader;
/** @type {ReturnType<typeof watch> | undefined} */
let watching;

/**
 * @param {Page} page
 * @param {Made} sealed
 */
export async function present(page, sealed) {
  made = sealed;
  const { link, passcode, receiptId, manageToken } = made;
  field("link").value = link;
  $("passcode").textContent = passcode;
  $("passcode-card").hidden = !passcode;
  receiptLink().href = `${SERVER_URL}/receipt/${receiptId}#${manageToken}`;
  page.put($("state-problem"), null);
  $("burn").hidden = false;
  hideCode();
  only("result");
  fillPrintSheet($("sheet"), page.words, page.settings.name, made);
  field("link").focus();
  field("link").select();
  field("link").scrollLeft = 0; // its end says nothing to anybody
  const copied = await copy(link);
  page.put($("said"), copied ? "result.linkCopied" : "result.linkNotCopied");
  follow(page);
}

/**
 * @param {Page} page
 * @param {() => void} another
 */
export function resultButtons(page, another) {
  sharing(page);
  receipt(page);
  $("another").addEventListener("click", () => {
    forget();
    another();
  });
}

/** @param {Page} page */
function sharing(page) {
  const languages = select("message-language");
  page.always((words) => {
    fillSelect(languages, Object.entries(page.settings.languages), words.code);
    reader = Promise.resolve(words);
  });
  // Loaded ahead: some browsers copy and share only right after the press.
  languages.addEventListener("change", () => {
    reader = load(languages.value).catch(() => page.words);
  });
  $("copy").addEventListener("click", () => copied(page, field("link").value, "result.linkCopied", field("link")));
  $("copy-passcode").addEventListener("click", () => copied(page, made.passcode ?? "", "result.copied"));
  $("message").addEventListener("click", async () => copied(page, message(await reader, made), "result.messageCopied"));
  $("share").hidden = !navigator.share;
  $("share").addEventListener("click", async () => {
    navigator.share({ text: message(await reader, made) }).catch(() => {}); // the person closed the sheet
  });
  $("show-qr").addEventListener("click", async () => {
    if ($("qr").hidden) await drawCode();
    else hideCode();
  });
  $("print").addEventListener("click", async () => {
    fillPrintSheet($("sheet"), page.words, page.settings.name, made, await code(made.link));
    print();
  });
}

/**
 * @param {Page} page
 * @param {string} text
 * @param {string} said a key
 * @param {HTMLInputElement} [source] selected, for copying by hand
 */
async function copied(page, text, said, source) {
  const done = await copy(text);
  source?.select();
  page.put($("said"), done ? said : "result.copyFailed");
}

async function drawCode() {
  const figure = $("qr");
  figure.querySelector("svg")?.remove();
  const drawn = await code(made.link);
  drawn.setAttribute("aria-labelledby", "qr-hint");
  figure.prepend(drawn);
  figure.hidden = false;
  $("show-qr").setAttribute("aria-expanded", "true");
}

function hideCode() {
  $("qr").hidden = true;
  $("qr").querySelector("svg")?.remove();
  $("show-qr").setAttribute("aria-expanded", "false");
}

/** @param {Page} page */
function follow(page) {
  const { receiptId, manageToken } = made;
  page.put($("state"), (words) => words.t("state.active", { until: words.when(made.expiresAt) }));
  watching?.stop();
  watching = watch(() => ask().receipt(receiptId, manageToken), (receipt) => {
    $("burn").hidden = receipt.state !== "active";
    page.put($("state"), fate(receipt));
    page.put($("state-problem"), null);
  }, (error) => page.put($("state-problem"), errorText(error)));
}

/** @param {Page} page */
function receipt(page) {
  $("copy-receipt").addEventListener("click", () => copied(page, receiptLink().href, "result.copied"));
  twice($("burn"), page, "result.burnSure", async () => {
    try {
      await ask().remove(made.receiptId, made.manageToken);
    } catch (error) {
      page.put($("state-problem"), errorText(error));
    }
    watching?.now();
  });
}

/** Everything of the last secret, out of the page and out of memory. */
export function forget() {
  watching?.stop();
  made = NOTHING;
  field("link").value = "";
  $("passcode").textContent = "";
  receiptLink().removeAttribute("href");
  $("sheet").replaceChildren();
  hideCode();
}
