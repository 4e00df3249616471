// @ts-check
/**
 * The receipt: the state and events of a secret, and the sender's means to burn it, to unlock its passcode, and to change
 * its expiry or its note.
 */

import { api } from "./api.js";
import { keepKey, onOtherLink, ownUrl } from "./kept-key.js";
import { readUrl } from "./pasted-link.js";
import { filesLeftText, isLeft, pollReceipt, stateText } from "./receipt-status.js";
import { $, copy, errorText, field, fillSelect, onSecondPress, openPage, select, selectText, showDone, showOnly, whileBusy } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */

const FORM = { path: "/receipt/([A-Za-z0-9]{20})", isKey: (/** @type {string} */ text) => /^[A-Za-z0-9]{32}$/.test(text) };
const { origin, pathname, search, hash } = ownUrl();
const link = await readUrl(`${origin}${pathname}${search}${hash}`, [FORM]);
const receiptId = link?.id ?? "";
const manageToken = link?.key ?? "";
const server = api();
const SLACK_SECONDS = 60; // between looking at the page and pressing the button

/** @type {{ receipt: any, updatedAt: number }} the last response of the server, null until there is one */
const state = { receipt: null, updatedAt: 0 };

const opened = await openPage();
if (opened) start(opened);

/** @param {Page} page */
function start(page) {
  onOtherLink(() => location.reload());
  if (!link?.key) return showMissing(page);
  keepKey(link, link.key);
  page.setText($("exposed"), history.state?.isExposed ? "receipt.exposed" : null);
  const load = () => server.receipt(receiptId, manageToken);
  const poll = pollReceipt(load, (receipt) => render(page, receipt), (error) => {
    if (error?.code === "not_found") showMissing(page);
    else if (state.receipt) showAge(page, "receipt.stale");
    else page.showNotice("trouble.title", [errorText(error)]);
  });
  $("change").addEventListener("submit", (event) => {
    event.preventDefault();
    save(page);
  });
  onSecondPress($("burn"), page, async () => {
    await showingProblems(page, () => server.remove(receiptId, manageToken));
    poll.now();
  });
  $("unlock").addEventListener("click", () => unlock(page));
  $("copy").addEventListener("click", () => copyOwnLink(page, `${link.url}#${link.key}`));
  page.onLanguage(() => state.receipt && fillLifetimes(page, select("lifetime").value));
}

/**
 * Copy the link to this page: the address bar lacks its key.
 * @param {Page} page
 * @param {string} url
 */
async function copyOwnLink(page, url) {
  page.setText($("problem"), null);
  if (await copy(url)) return showDone($("copy"), page);
  page.setText($("problem"), (locale) => `${locale.t("result.copyFailed")} ${url}`);
  selectText($("problem"));
}

/** @param {Page} page */
function showMissing(page) {
  page.showNotice("receipt.missingTitle", ["receipt.missing"]);
}

/**
 * @param {Page} page
 * @param {any} receipt
 */
function render(page, receipt) {
  const { receipt: previous } = state;
  Object.assign(state, { receipt, updatedAt: Date.now() });
  const isActive = receipt.state === "active";
  page.setHead($("head"), $("title"), isActive ? "receipt.waiting" : `event.${receipt.state}`, receipt.state);
  page.setText($("label"), receipt.label && (() => receipt.label));
  page.setText($("state"), stateText(receipt));
  showFiles(page, receipt);
  showLock(page, receipt);
  if (isLeft(receipt)) showAge(page, "receipt.fresh");
  else page.setText($("updated"), null);
  showBurn(page, receipt);
  $("events").replaceChildren(...grouped(receipt.events).map((event) => eventItem(page, event)));
  $("change").hidden = !isActive;
  fillLifetimes(page, previous?.expiresAt === receipt.expiresAt ? select("lifetime").value : "");
  if (!previous) field("note").value = receipt.publicNote ?? "";
  showOnly("receipt");
  document.body.dataset.ready = "";
}

/**
 * @param {Page} page
 * @param {string} key
 */
function showAge(page, key) {
  page.setText($("updated"), (locale) => locale.t(key, { at: locale.time(state.updatedAt) }));
}

/**
 * Return the events with wrong passcodes in a row as one, at the time of the last.
 * @param {{type: string, at: number}[]} events
 */
function grouped(events) {
  /** @type {{type: string, at: number, count: number}[]} */
  const groups = [];
  for (const event of events) {
    const last = groups.at(-1);
    const isAnother = event.type === "passcode_wrong" && last?.type === event.type;
    if (last && isAnother) Object.assign(last, { at: event.at, count: last.count + 1 });
    else groups.push({ ...event, count: 1 });
  }
  return groups;
}

/**
 * @param {Page} page
 * @param {{type: string, at: number, count: number}} event
 */
function eventItem(page, { type, at, count }) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  page.setText(name, (locale) => locale.t(`event.${type}`) + (count > 1 ? ` × ${count}` : ""));
  page.setText(time, (locale) => locale.dateTime(at));
  item.append(name, time);
  return item;
}

/**
 * @param {Page} page
 * @param {any} receipt
 */
function showFiles(page, { state, files }) {
  page.setText($("files"), files ? (locale) => [
    locale.t("receipt.files", { size: locale.size(files.size) }),
    ...(state === "active" && files.grants ? [filesLeftText(files)(locale)] : []), // else the state says it
  ].join(" ") : null);
}

/**
 * Say who cannot try the passcode after wrong ones.
 * @param {Page} page
 * @param {any} receipt
 */
function showLock(page, { lockedUntil, lockedClients, expiresAt }) {
  const key = lockedUntil === null ? "receipt.lockedSome"
    : lockedUntil < expiresAt ? "receipt.lockedAll" : "receipt.lockedForGood";
  $("lock").hidden = lockedUntil === null && !lockedClients;
  if ($("lock").hidden) return;
  page.setText($("unlocked"), null);
  page.setText($("lock-text"), (locale) => [
    locale.t(key, { count: lockedClients, until: locale.dateTime(lockedUntil ?? 0) }),
    locale.t("receipt.lockedCost"),
  ].join(" "));
}

/** @param {Page} page */
async function unlock(page) {
  await showingProblems(page, async () => {
    const change = () => server.change(receiptId, manageToken, { unlock: true });
    render(page, await whileBusy($("unlock"), page, "receipt.unlocking", change));
    page.setText($("unlocked"), "receipt.unlocked");
    $("unlocked").focus(); // the button is gone
  });
}

/**
 * Offer to burn what is left: the secret, or the files that its readers can still download.
 * @param {Page} page
 * @param {any} receipt
 */
function showBurn(page, receipt) {
  const [key, question] = receipt.state === "active" ? ["result.burn", "result.burnSure"]
    : ["receipt.erase", "receipt.eraseSure"];
  $("burn").hidden = !isLeft(receipt);
  if ($("burn").dataset.tOther !== question) page.setLabels($("burn"), key, question);
}

/**
 * Offer the lifetimes that the server accepts: they count from now, and at most its longest one from the creation.
 * @param {Page} page
 * @param {string} chosen
 */
function fillLifetimes({ locale, settings }, chosen) {
  const ageSeconds = Math.max(0, Date.now() - state.receipt.createdAt) / 1000;
  const choices = settings.choices
    .filter((/** @type {number} */ seconds) => seconds <= settings.max - ageSeconds - SLACK_SECONDS)
    .map((/** @type {number} */ seconds) => [String(seconds), locale.duration(seconds)]);
  const options = [["", locale.t("receipt.lifetimeAsIs")], ...choices];
  $("lifetime-field").hidden = !choices.length;
  const shown = Array.from(select("lifetime").options, ({ value, text }) => [value, text]);
  if (JSON.stringify(shown) === JSON.stringify(options)) select("lifetime").value = chosen;
  else fillSelect(select("lifetime"), options, chosen);
}

/** @param {Page} page */
async function save(page) {
  const seconds = select("lifetime").value;
  const note = field("note").value.trim();
  const changes = {
    ...(seconds ? { expiresIn: Number(seconds) } : {}),
    ...(note === (state.receipt.publicNote ?? "") ? {} : { publicNote: note || null }),
  };
  const max = page.settings.noteCharacters;
  if ([...note].length > max) {
    return page.setText($("problem"), (locale) => locale.t("create.noteTooLong", { size: [...note].length, max }));
  }
  if (!Object.keys(changes).length) return page.setText($("status"), "receipt.noChange");
  const button = /** @type {HTMLElement} */ ($("change").querySelector("[type=submit]"));
  await showingProblems(page, async () => {
    const change = () => server.change(receiptId, manageToken, changes);
    render(page, await whileBusy(button, page, "receipt.save", change));
    page.setText($("status"), "receipt.saved");
  });
}

/**
 * @param {Page} page
 * @param {() => Promise<any>} work
 */
async function showingProblems(page, work) {
  page.setText($("problem"), null);
  page.setText($("status"), null);
  try {
    await work();
  } catch (error) {
    page.setText($("problem"), errorText(error));
  }
}
