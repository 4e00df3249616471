// @ts-check
/** The start page: seal a secret, then hand its link on. Nothing typed here leaves the tab unsealed or outlives it. */

import { words as passcodeWords } from "./api.js";
import { padded } from "./envelope.js";
import { ask, focusKeyField, isKeyMissing, setUpKeyPanel } from "./api-key-panel.js";
import { forget, present, resultButtons } from "./result.js";
import { create, redirectUrl } from "./seal.js";
import { $, busy, errorText, field, fillSelect, only, openPage, select } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./ui.js").Text} Text */

const VIEWS = [1, 2, 3, 5, 10, 20, 50, 100];
const PASSCODE_WORDS = 4;
const ROOM_BYTES = 64; // for the envelope's header
const TAG_BYTES = 16;

const opened = await openPage();
if (opened) start(opened);

/** @param {Page} page */
function start(page) {
  offerChoices(page);
  composing(page);
  setUpKeyPanel(page);
  resultButtons(page, () => compose());
  compose();
  if (isKeyMissing(page)) field("key").focus();
  document.body.dataset.ready = "";
  addEventListener("pagehide", () => {
    forget();
    clear();
  });
  // Going back would show an emptied page; better a fresh one.
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
}

function compose() {
  only("compose");
  field("secret").focus();
}

function clear() {
  for (const id of ["secret", "own-passcode", "note", "label"]) field(id).value = "";
}

/** @param {Page} page */
function offerChoices(page) {
  const { choices, default: usual } = page.settings;
  const likely = String(choices.filter((/** @type {number} */ each) => each <= usual).pop() ?? choices[0]);
  page.always((words) => {
    fillSelect(select("lifetime"), choices.map((/** @type {number} */ each) => [String(each), words.span(each)]),
      select("lifetime").value || likely);
    /** @type {[string, string][]} */
    const views = VIEWS.map((count) => [String(count), words.t("create.viewsCount", { count })]);
    fillSelect(select("views"), [...views, ["any", words.t("create.viewsAny")]], select("views").value || "1");
    sayViews(page);
  });
}

/** The first sentence is about the link that one would get now. @param {Page} page */
function sayViews(page) {
  const views = select("views").value;
  page.put($("lead"), views === "any" ? "create.leadAny" : (words) => words.t("create.lead", { count: Number(views) }));
}

/** @param {Page} page */
function composing(page) {
  /** @type {HTMLFormElement} */
  const form = $("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    seal(page);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) seal(page);
  });
  form.addEventListener("change", () => kindChanged(page, form));
  select("views").addEventListener("change", () => sayViews(page));
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
  page.put($("kind-hint"), kind === "text" ? null : `kind.${kind}Hint`);
  field("secret").dataset.tPlaceholder = placeholder;
  field("secret").placeholder = page.words.t(placeholder);
  $("own").hidden = select("passcode-kind").value !== "own";
}

/** @param {Page} page */
async function seal(page) {
  /** @type {HTMLButtonElement} */
  const button = $("seal");
  if (button.disabled) return;
  /** @type {HTMLFormElement} */
  const form = $("form");
  const kind = form.kind.value;
  const address = kind === "redirect" ? redirectUrl(field("secret").value.trim()) : null;
  const text = kind === "redirect" ? address?.href ?? "" : field("secret").value;
  const [wrong, where] = fault(page, kind, text);
  page.put($("problem"), wrong);
  if (wrong) return pointAt(where);
  if (isKeyMissing(page)) {
    page.put($("problem"), "key.needed");
    return focusKeyField();
  }
  try {
    await busy(button, page, "create.sealing", () => sealed(page, kind, text));
  } catch (error) {
    page.put($("problem"), refused(error));
  }
}

/** Without scrolling: what is wrong stands beside the button that was pressed. @param {string} id */
function pointAt(id) {
  const folded = $(id).closest("details");
  if (folded) folded.open = true;
  $(id).focus({ preventScroll: true });
}

/** @param {any} error */
function refused(error) {
  const halved = error?.code === "bad_request" && error.status === undefined; // found before anything was sent
  return halved ? (/** @type {any} */ words) => words.t("create.halfCharacter") : errorText(error);
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
  emptied(page);
  await present(page, { ...created, passcode });
}

/** A reset form chooses the first option; the likely one is another. @param {Page} page */
function emptied(page) {
  /** @type {HTMLFormElement} */
  const form = $("form");
  clear();
  form.reset();
  kindChanged(page, form);
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
  if (!field("secret").value) return ["create.empty", "secret"];
  if (kind === "redirect" && !text) return ["create.notLink", "secret"];
  const size = new TextEncoder().encode(text).length;
  if (padded(size + ROOM_BYTES) + TAG_BYTES > settings.payloadBytes) {
    return [(words) => words.t("create.tooLong", { size, most: mostBytes(settings.payloadBytes) }), "secret"];
  }
  for (const [name, most] of Object.entries({ note: settings.noteCharacters, label: settings.labelCharacters })) {
    const length = [...field(name).value.trim()].length;
    if (length > most) return [(words) => words.t(`create.${name}TooLong`, { size: length, most }), name];
  }
  if (select("passcode-kind").value === "own" && !field("own-passcode").value) {
    return ["create.noPasscode", "own-passcode"];
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
