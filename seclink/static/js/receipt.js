// @ts-check
/** The receipt: what became of a secret, and the sender's means to end it, give it more or less time, annotate it. */

import { api } from "./api.js";
import { fate, watch } from "./receipt-status.js";
import { $, busy, errorText, field, fillSelect, only, openPage, select, twice } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */

const receiptId = location.pathname.split("/").pop() ?? "";
const manageToken = /^#([A-Za-z0-9]{16,64})/.exec(location.hash)?.[1] ?? "";
const server = api();
/** @type {any} as last seen */
let known;

const opened = await openPage();
if (opened) start(opened);

/** @param {Page} page */
function start(page) {
  addEventListener("hashchange", () => location.reload());
  if (!manageToken) return missing(page);
  const watching = watch(() => server.receipt(receiptId, manageToken), (receipt) => render(page, receipt), (error) => {
    if (error?.code === "not_found") missing(page);
    else if (known) page.put($("fresh"), (words) => words.t("receipt.stale", { at: words.clock(known.seenAt) }));
    else page.notice("trouble.title", [errorText(error)]);
  });
  $("change").addEventListener("submit", (event) => {
    event.preventDefault();
    save(page);
  });
  twice($("burn"), page, "result.burnSure", async () => {
    await attempt(page, () => server.remove(receiptId, manageToken));
    watching.now();
  });
  page.always(() => known && offerTimes(page));
}

/** @param {Page} page */
function missing(page) {
  page.notice("receipt.missingTitle", ["receipt.missing"]);
}

/**
 * @param {Page} page
 * @param {any} receipt
 */
function render(page, receipt) {
  const isFirst = !known;
  const moved = known?.expiresAt !== receipt.expiresAt;
  known = { ...receipt, seenAt: Date.now() };
  const isActive = receipt.state === "active";
  page.put($("label"), receipt.label && (() => receipt.label));
  page.put($("state"), fate(receipt));
  $("state").dataset.state = receipt.state;
  page.put($("fresh"), isActive ? (words) => words.t("receipt.fresh", { at: words.clock(known.seenAt) }) : null);
  $("events").replaceChildren(...receipt.events.map((/** @type {any} */ each) => entry(page, each)));
  $("change").hidden = !isActive;
  if (moved) offerTimes(page);
  if (isFirst) field("note").value = receipt.publicNote ?? "";
  only("receipt");
  document.body.dataset.ready = "";
}

/**
 * @param {Page} page
 * @param {any} event
 */
function entry(page, { type, at }) {
  const item = document.createElement("li");
  const what = document.createElement("span");
  const when = document.createElement("time");
  when.dateTime = new Date(at).toISOString();
  page.put(what, `event.${type}`);
  page.put(when, (words) => words.when(at));
  item.append(what, when);
  return item;
}

/** @param {Page} page */
function offerTimes({ words, settings }) {
  const choices = settings.choices.map((/** @type {number} */ each) =>
    [String(each), words.t("receipt.fromNow", { time: words.span(each) })]);
  fillSelect(select("lifetime"), [["", words.t("receipt.lifetimeAsIs")], ...choices], "");
}

/** @param {Page} page */
async function save(page) {
  const seconds = select("lifetime").value;
  const note = field("note").value.trim();
  const changes = {
    ...(seconds ? { expiresIn: Number(seconds) } : {}),
    ...(note === (known.publicNote ?? "") ? {} : { publicNote: note || null }),
  };
  const most = page.settings.noteCharacters;
  if ([...note].length > most) {
    return page.put($("problem"), (words) => words.t("create.noteTooLong", { size: [...note].length, most }));
  }
  if (!Object.keys(changes).length) return page.put($("said"), "receipt.noChange");
  await attempt(page, async () => {
    render(page, await busy(saveButton(), page, "receipt.save", () => server.change(receiptId, manageToken, changes)));
    page.put($("said"), "receipt.saved");
  });
}

function saveButton() {
  return /** @type {HTMLElement} */ ($("change").querySelector("[type=submit]"));
}

/**
 * @param {Page} page
 * @param {() => Promise<any>} work
 */
async function attempt(page, work) {
  page.put($("problem"), null);
  page.put($("said"), null);
  try {
    await work();
  } catch (error) {
    page.put($("problem"), errorText(error));
  }
}
