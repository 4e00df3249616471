// @ts-check
/** The start page: create a secret, then share its link. The text leaves the tab only encrypted and is then cleared. */

import { ApiError } from "./api-error.js";
import { apiWithKey, focusKeyField, isKeyMissing, setUpKeyPanel } from "./api-key-panel.js";
import { padded } from "./envelope.js";
import { MAX_CHARACTERS, lengthOf, passcodeFault } from "./passcode.js";
import { createSecret, redirectUrl } from "./seal.js";
import { $, errorText, field, fillSelect, openPage, select, showOnly, whileBusy } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./ui.js").Text} Text */

const VIEWS = [1, 2, 3, 5, 10, 20, 50, 100];
const HEADER_BYTES = 64; // reserved for the envelope's header
const TAG_BYTES = 16;

/** The module of the result, once it is loaded. @type {typeof import("./result.js") | null} */
let resultView = null;

const opened = await openPage();
if (opened) start(opened);

/** @param {Page} page */
function start(page) {
  setUpChoices(page);
  setUpForm(page);
  setUpKeyPanel(page);
  showForm(page);
  if (isKeyMissing(page)) field("key").focus();
  document.body.dataset.ready = "";
  addEventListener("pagehide", () => {
    resultView?.clearResult();
    clearFields();
  });
  // The browser would restore the page with empty fields.
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
}

/** @param {Page} page */
function showForm(page) {
  showOnly("compose");
  page.setTab("create.title");
  field("secret").focus();
}

function clearFields() {
  for (const id of ["secret", "own-passcode", "note", "label"]) field(id).value = "";
}

/** @param {Page} page */
function setUpChoices(page) {
  const { choices, default: usual } = page.settings;
  const lifetimes = [...new Set([...choices, usual])].sort((a, b) => a - b);
  page.onLanguage((locale) => {
    fillSelect(select("lifetime"), lifetimes.map((seconds) =>
      [String(seconds), locale.duration(seconds)]), select("lifetime").value || String(usual));
    /** @type {[string, string][]} */
    const views = VIEWS.map((count) => [String(count), locale.t("create.viewsCount", { count })]);
    fillSelect(select("views"), [...views, ["any", locale.t("create.viewsAny")]], select("views").value || "1");
    updateTerms(page);
    preparePasscode(page);
  });
}

/** Load what the chosen passcode needs, while there is a network; creating says if it is missing. @param {Page} page */
function preparePasscode({ locale }) {
  const kind = select("passcode-kind").value;
  if (kind && kind !== "own") loadGenerator().then(({ prepare }) => prepare(kind, locale.code)).catch(() => {});
}

/** Describe the link that the form would create now. @param {Page} page */
function updateTerms(page) {
  const isUnlimited = select("views").value === "any";
  const count = Number(select("views").value);
  const seconds = Number(select("lifetime").value);
  const passcode = select("passcode-kind").value ? "create.withPasscode" : "create.withoutPasscode";
  page.setText($("terms"), (locale) => locale.t("create.terms", {
    time: locale.duration(seconds),
    views: isUnlimited ? locale.t("create.viewsAny") : locale.t("create.viewsCount", { count }),
    passcode: locale.t(passcode),
  }));
  page.setText($("step-erased"), isUnlimited ? "create.stepExpired" : (locale) => locale.t("create.stepErased", { count }));
}

/** @returns {HTMLFormElement} */
function form() {
  return $("form");
}

/** @param {Page} page */
function setUpForm(page) {
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    submit(page);
  });
  form().addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(page);
  });
  form().addEventListener("change", () => updateForm(page));
  form().addEventListener("input", () => page.setText($("problem"), null));
  // What the result needs is no part of the page's first weight. It comes while there is a network.
  form().addEventListener("input", () => loadResult(page).catch(() => {}), { once: true });
  updateForm(page);
  setUpPanel(page);
}

/** Set up the panel of the generator when it is opened. @param {Page} page */
function setUpPanel(page) {
  $("generator").addEventListener("toggle", async () => {
    try {
      (await loadGenerator()).setUpGenerator(page);
    } catch {
      page.setText($("generated"), "error.missing");
      setUpPanel(page);
    }
  }, { once: true });
}

/** Show the hint, placeholder and passcode field of the chosen options. @param {Page} page */
function updateForm(page) {
  const isLink = form().kind.value === "redirect";
  const placeholder = isLink ? "create.placeholderLink" : "create.placeholder";
  page.setText($("kind-hint"), isLink ? "kind.redirectHint" : null);
  $("neogram-field").hidden = isLink;
  field("secret").dataset.tPlaceholder = placeholder;
  field("secret").placeholder = page.locale.t(placeholder);
  $("own-passcode-field").hidden = select("passcode-kind").value !== "own";
  $("generator").hidden = isLink;
  preparePasscode(page);
  updateTerms(page);
}

/** @param {Page} page */
async function submit(page) {
  /** @type {HTMLButtonElement} */
  const button = $("create");
  if (button.disabled) return;
  const kind = form().kind.value;
  const text = kind === "redirect" ? redirectUrl(field("secret").value.trim())?.href ?? "" : field("secret").value;
  const [problem, fieldId] = findProblem(page, kind, text);
  page.setText($("problem"), problem);
  if (problem) return focusField(fieldId);
  if (isKeyMissing(page)) {
    page.setText($("problem"), "key.needed");
    return focusKeyField();
  }
  try {
    await whileBusy(button, page, "create.submitting", () => create(page, kind, text));
  } catch (error) {
    page.setText($("problem"), problemOf(error));
  }
}

/** Focus a field without scrolling: the problem is shown beside the button. @param {string} id */
function focusField(id) {
  const details = $(id).closest("details");
  if (details) details.open = true;
  $(id).focus({ preventScroll: true });
}

/**
 * @param {any} error
 * @returns {Text}
 */
function problemOf(error) {
  const isUnsent = error?.code === "bad_request" && error.status === undefined;
  return isUnsent ? "create.halfCharacter" : errorText(error);
}

/**
 * @param {Page} page
 * @param {string} type
 * @param {string} text
 */
async function create(page, type, text) {
  const passcode = await choosePasscode(page.locale.code);
  const views = select("views").value;
  const { showResult } = await loadResult(page);
  const created = await createSecret(apiWithKey(), text, {
    type: type === "text" && field("neogram").checked ? "neogram" : type,
    passcode,
    expiresIn: Number(select("lifetime").value),
    maxViews: views === "any" ? null : Number(views),
    publicNote: field("note").value.trim() || undefined,
    label: field("label").value.trim() || undefined,
  });
  resetForm(page);
  await showResult(page, { ...created, passcode });
}

/** Reset the form and preselect the usual options, which are not the first ones. @param {Page} page */
function resetForm(page) {
  clearFields();
  form().reset();
  updateForm(page);
  select("lifetime").value = select("views").value = "";
  for (const listener of page.listeners) listener(page.locale);
}

/**
 * Return what is wrong with the form and the id of the field, or null.
 * @param {Page} page
 * @param {string} kind
 * @param {string} text
 * @returns {[Text, string]}
 */
function findProblem({ settings }, kind, text) {
  if (!field("secret").value) return ["create.empty", "secret"];
  if (kind === "redirect" && !text) return ["create.notLink", "secret"];
  const size = new TextEncoder().encode(text).length;
  if (blobBytes(size) > settings.payloadBytes) {
    return [(locale) => locale.t("create.tooLong", { size, max: maxTextBytes(settings.payloadBytes) }), "secret"];
  }
  for (const [name, max] of Object.entries({ note: settings.noteCharacters, label: settings.labelCharacters })) {
    const length = [...field(name).value.trim()].length;
    if (length > max) return [(locale) => locale.t(`create.${name}TooLong`, { size: length, max }), name];
  }
  return [select("passcode-kind").value === "own" ? passcodeProblem(field("own-passcode").value) : null, "own-passcode"];
}

/**
 * @param {string} passcode
 * @returns {Text}
 */
function passcodeProblem(passcode) {
  switch (passcodeFault(passcode)) {
    case "required": return "create.noPasscode";
    case "not_unicode":
    case "control_characters": return "create.passcodeInvisible";
    case "too_long":
      return (locale) => locale.t("create.passcodeTooLong", { size: lengthOf(passcode), max: MAX_CHARACTERS });
    default: return null;
  }
}

/** @param {number} textBytes */
function blobBytes(textBytes) {
  return padded(textBytes + HEADER_BYTES) + TAG_BYTES;
}

/** Find the size of the longest text that the server accepts once it is encrypted. @param {number} payloadBytes */
function maxTextBytes(payloadBytes) {
  let [fits, tooLong] = [0, payloadBytes];
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (blobBytes(middle) <= payloadBytes) fits = middle;
    else tooLong = middle;
  }
  return fits;
}

/**
 * @param {string} language of the words
 * @returns {Promise<string | null>}
 */
async function choosePasscode(language) {
  const kind = select("passcode-kind").value;
  if (kind === "own") return field("own-passcode").value;
  return kind ? (await loadGenerator()).drawPasscode(kind, language) : null;
}

/** Load the result's view, once. Rejects without a network, or if the server has newer pages. @param {Page} page */
async function loadResult(page) {
  const loaded = await import("./result.js").catch(() => {
    throw new ApiError("missing");
  });
  loaded.loadQrCodes().catch(() => {}); // while there is a network: the tab may outlive it
  if (!resultView) loaded.setUpResult(page, () => showForm(page));
  return resultView = loaded;
}

/** Load what draws passcodes and passwords. Rejects without a network, or if the server has newer pages. */
async function loadGenerator() {
  return import("./generator.js").catch(() => {
    throw new ApiError("missing");
  });
}
