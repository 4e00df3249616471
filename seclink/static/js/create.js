// @ts-check
/** The start page: seal a secret, then hand its link on. Nothing typed here leaves the tab unsealed or outlives it. */

import { HERE, api, words as passcodeWords } from "./api.js";
import { padded } from "./envelope.js";
import { load } from "./i18n.js";
import { fate, watch } from "./receipts.js";
import { create, webAddress } from "./secrets.js";
import { code, fillSheet, message } from "./sharing.js";
import { $, busy, copy, explained, fillSelect, only, openPage, twice } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./ui.js").Text} Text */

const VIEWS = [1, 2, 3, 5, 10, 20, 50, 100];
const PASSCODE_WORDS = 4;
const ROOM_BYTES = 64; // for the envelope's header
const TAG_BYTES = 16;

/** @type {string | undefined} the API key, in memory alone */
let key;
/** @type {any} what was sealed last, with its passcode */
let made;
/** @type {ReturnType<typeof watch> | undefined} */
let watching;

const opened = await openPage();
if (opened) start(opened);

/** @param {Page} page */
function start(page) {
  offerChoices(page);
  composing(page);
  keyPanel(page);
  sharing(page);
  receipt(page);
  only("compose");
  field("secret").focus();
  document.body.dataset.ready = "";
  addEventListener("pagehide", forget);
  // Going back would show an emptied page; better a fresh one.
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
}

/** @param {string} id */
function field(id) {
  return /** @type {HTMLInputElement} */ ($(id));
}

/** @param {string} id */
function select(id) {
  return /** @type {HTMLSelectElement} */ ($(id));
}

function ask() {
  return api({ token: key });
}

/** @param {Page} page */
function offerChoices(page) {
  const { choices, default: usual } = page.settings;
  const likely = String(choices.filter((/** @type {number} */ each) => each <= usual).pop() ?? choices[0]);
  page.always((words) => {
    fillSelect(select("lifetime"), choices.map((/** @type {number} */ each) => [String(each), words.span(each)]),
      select("lifetime").value || likely);
    fillSelect(select("views"), [
      ...VIEWS.map((count) => /** @type {[string, string]} */ ([String(count), words.t("create.viewsCount", { count })])),
      ["any", words.t("create.viewsAny")],
    ], select("views").value || "1");
    fillSelect(select("message-language"), Object.entries(page.settings.languages), words.code);
  });
}

/** @param {Page} page */
function composing(page) {
  const form = /** @type {HTMLFormElement} */ ($("form"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    seal(page);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) seal(page);
  });
  form.addEventListener("change", () => kindChanged(page, form));
  form.addEventListener("input", () => page.put($("problem"), null));
  kindChanged(page, form);
}

/**
 * @param {Page} page
 * @param {HTMLFormElement} form
 */
function kindChanged(page, form) {
  const kind = form.kind.value;
  const placeholder = kind === "redirect" ? "create.placeholderLink" : "create.placeholder";
  page.put($("kind-hint"), kind === "text" ? null : (words) => words.t(`kind.${kind}Hint`));
  field("secret").dataset.tPlaceholder = placeholder;
  field("secret").placeholder = page.words.t(placeholder);
  $("own").hidden = select("passcode-kind").value !== "own";
}

/** @param {Page} page */
async function seal(page) {
  const button = /** @type {HTMLButtonElement} */ ($("seal"));
  if (button.disabled) return;
  const kind = /** @type {HTMLFormElement} */ ($("form")).kind.value;
  const address = kind === "redirect" ? webAddress(field("secret").value.trim()) : null;
  const text = kind === "redirect" ? address?.href ?? "" : field("secret").value;
  const [wrong, where] = fault(page, kind, text);
  page.put($("problem"), wrong);
  if (wrong) return $(where).focus();
  if (page.settings.create === "keys" && !key) return askForKey(page);
  try {
    await busy(button, page, "create.sealing", () => sealed(page, kind, text));
  } catch (error) {
    page.put($("problem"), refused(error));
  }
}

/** @param {any} error */
function refused(error) {
  const halved = error?.code === "bad_request" && error.status === undefined; // found before anything was sent
  return halved ? (/** @type {any} */ words) => words.t("create.halfCharacter") : explained(error);
}

/**
 * @param {Page} page
 * @param {string} type
 * @param {string} text
 */
async function sealed(page, type, text) {
  const passcode = await chosenPasscode();
  const views = select("views").value;
  const created = await create(ask(), text, {
    type,
    passcode,
    expiresIn: Number(select("lifetime").value),
    maxViews: views === "any" ? null : Number(views),
    publicNote: field("note").value.trim() || undefined,
    label: field("label").value.trim() || undefined,
  });
  made = { ...created, passcode, hasPasscode: Boolean(passcode) };
  /** @type {HTMLFormElement} */ ($("form")).reset();
  kindChanged(page, /** @type {HTMLFormElement} */ ($("form")));
  offerAgain(page);
  await present(page);
}

/** A reset form chooses the first option; the likely one is another. @param {Page} page */
function offerAgain(page) {
  select("lifetime").value = select("views").value = "";
  for (const draw of page.draws) draw(page.words);
}

/**
 * What is wrong with the form, and where; null where nothing is.
 * @param {Page} page
 * @param {string} kind
 * @param {string} text
 * @returns {[Text, string]}
 */
function fault({ settings }, kind, text) {
  if (!field("secret").value) return [(words) => words.t("create.empty"), "secret"];
  if (kind === "redirect" && !text) return [(words) => words.t("create.notLink"), "secret"];
  const size = new TextEncoder().encode(text).length;
  if (padded(size + ROOM_BYTES) + TAG_BYTES > settings.payloadBytes) {
    return [(words) => words.t("create.tooLong", { size, most: mostBytes(settings.payloadBytes) }), "secret"];
  }
  for (const [name, most] of Object.entries({ note: settings.noteCharacters, label: settings.labelCharacters })) {
    const length = [...field(name).value.trim()].length;
    if (length > most) return [(words) => words.t(`create.${name}TooLong`, { size: length, most }), name];
  }
  if (select("passcode-kind").value === "own" && !field("own-passcode").value) {
    return [(words) => words.t("create.noPasscode"), "own-passcode"];
  }
  return [null, ""];
}

/** The longest text whose envelope, padded, the server takes. @param {number} payloadBytes */
function mostBytes(payloadBytes) {
  let [fits, tooMuch] = [0, payloadBytes];
  while (tooMuch - fits > 1) {
    const middle = Math.floor((fits + tooMuch) / 2);
    if (padded(middle + ROOM_BYTES) + TAG_BYTES <= payloadBytes) fits = middle;
    else tooMuch = middle;
  }
  return fits;
}

/** @returns {Promise<string | null>} */
async function chosenPasscode() {
  const kind = select("passcode-kind").value;
  if (kind === "own") return field("own-passcode").value;
  if (!kind) return null;
  const list = await passcodeWords();
  return Array.from({ length: PASSCODE_WORDS }, () => list[below(list.length)]).join("-");
}

/** An unbiased random number below `limit`. @param {number} limit */
function below(limit) {
  const fair = Math.floor(2 ** 32 / limit) * limit;
  for (;;) {
    const [drawn] = crypto.getRandomValues(new Uint32Array(1));
    if (drawn < fair) return drawn % limit;
  }
}

// The result

/** @param {Page} page */
async function present(page) {
  const { link, passcode, receiptId, manageToken } = made;
  field("link").value = link;
  $("passcode").textContent = passcode;
  $("passcode-card").hidden = !passcode;
  /** @type {HTMLAnchorElement} */ (/** @type {unknown} */ ($("receipt"))).href = `${HERE}/receipt/${receiptId}#${manageToken}`;
  page.put($("state-problem"), null);
  $("burn").hidden = false;
  hideCode();
  only("result");
  page.put($("result-title"), (words) => words.t("result.title"));
  $("result-title").focus();
  fillSheet($("sheet"), page.words, page.settings.name, made);
  const copied = await copy(link);
  field("link").select();
  page.put($("said"), (words) => words.t(copied ? "result.linkCopied" : "result.linkNotCopied"));
  follow(page);
}

/** @param {Page} page */
function sharing(page) {
  $("copy").addEventListener("click", () => copied(page, field("link").value, "result.linkCopied", field("link")));
  $("copy-passcode").addEventListener("click", () => copied(page, made.passcode, "result.copied"));
  $("message").addEventListener("click", async () => {
    const words = await load(select("message-language").value);
    copied(page, message(words, made), "result.messageCopied");
  });
  $("share").hidden = !navigator.share;
  $("share").addEventListener("click", async () => {
    const text = message(await load(select("message-language").value), made);
    navigator.share({ text }).catch(() => {}); // the person closed the sheet
  });
  $("show-qr").addEventListener("click", async () => {
    if ($("qr").hidden) await drawCode();
    else hideCode();
  });
  $("print").addEventListener("click", async () => {
    fillSheet($("sheet"), page.words, page.settings.name, made, await code(made.link));
    print();
  });
  $("another").addEventListener("click", () => {
    forget();
    only("compose");
    field("secret").focus();
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
  page.put($("said"), (words) => words.t(done ? said : "result.copyFailed"));
}

async function drawCode() {
  const figure = $("qr");
  figure.querySelector("svg")?.remove();
  figure.prepend(await code(made.link));
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
  }, (error) => page.put($("state-problem"), explained(error)));
}

/** @param {Page} page */
function receipt(page) {
  $("copy-receipt").addEventListener("click", () =>
    copied(page, /** @type {HTMLAnchorElement} */ (/** @type {unknown} */ ($("receipt"))).href, "result.copied"));
  twice($("burn"), page, "result.burnSure", async () => {
    try {
      await ask().remove(made.receiptId, made.manageToken);
    } catch (error) {
      page.put($("state-problem"), explained(error));
    }
    watching?.now();
  });
}

/** Everything of the last secret, out of the page and out of memory. */
function forget() {
  watching?.stop();
  made = undefined;
  for (const id of ["secret", "own-passcode", "note", "label", "link"]) field(id).value = "";
  $("passcode").textContent = "";
  $("receipt").removeAttribute("href");
  $("sheet").replaceChildren();
  hideCode();
}

// The API key

/** @param {Page} page */
function keyPanel(page) {
  const isNeeded = page.settings.create === "keys";
  const panel = /** @type {HTMLDetailsElement} */ (/** @type {unknown} */ ($("key-panel")));
  if (isNeeded) {
    panel.open = true;
    $("form").before(panel);
  } else {
    /** @type {HTMLElement} */ (panel.querySelector("[data-t='key.lead']")).dataset.t = "key.leadAnyone";
    page.always((words) => (/** @type {HTMLElement} */ (panel.querySelector("[data-t='key.leadAnyone']")).textContent = words.t("key.leadAnyone")));
  }
  field("key-keep").addEventListener("change", () => {
    field("key").autocomplete = field("key-keep").checked ? "current-password" : "off";
  });
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(page, field("key").value.trim());
  });
  $("key-forget").addEventListener("click", () => {
    key = undefined;
    $("key-form").hidden = false;
    $("key-known").hidden = true;
    field("key").focus();
  });
}

/**
 * @param {Page} page
 * @param {string} given
 */
async function useKey(page, given) {
  try {
    const { name } = await api({ token: given }).account();
    key = given;
    if (field("key-keep").checked) await keep(name, given);
    field("key").value = "";
    $("key-form").hidden = true;
    $("key-known").hidden = false;
    page.put($("key-account"), (words) => words.t("key.account", { account: name }));
    page.put($("key-problem"), null);
    page.put($("problem"), null);
    field("secret").focus();
  } catch (error) {
    page.put($("key-problem"), explained(error));
    field("key").focus();
  }
}

/**
 * Offer the key to the browser's password manager; one without this interface asks by itself.
 * @param {string} account
 * @param {string} password
 */
async function keep(account, password) {
  const Kind = /** @type {any} */ (window).PasswordCredential;
  if (!Kind) return;
  try {
    await navigator.credentials.store(new Kind({ id: account, name: account, password }));
  } catch {
    // The person said no, or the browser does: the key works in this tab all the same.
  }
}

/** @param {Page} page */
function askForKey(page) {
  const panel = /** @type {HTMLDetailsElement} */ (/** @type {unknown} */ ($("key-panel")));
  panel.open = true;
  page.put($("problem"), (words) => words.t("key.needed"));
  field("key").focus();
}
