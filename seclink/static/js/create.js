// @ts-check
/** The start page: create a secret, then share its link. The text leaves the tab only encrypted and is then cleared. */

import { ApiError } from "./api-error.js";
import { apiWithKey, focusKeyField, isKeyMissing, setUpKeyPanel } from "./api-key-panel.js";
import { onFiles } from "./file-drop.js";
import { findProblem } from "./form-problem.js";
import { createSecret, redirectUrl } from "./seal.js";
import { $, errorText, field, fillSelect, openPage, select, showOnly, whileBusy } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./ui.js").Text} Text */

const VIEWS = [1, 2, 3, 5, 10, 20, 50, 100];

/** The chosen files, once there were some. @type {import("./chosen-files.js").ChosenFiles | null} */
let chosen = null;

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
  $("file-kind").hidden = page.settings.files === "nobody";
  onFiles((taken) => addFiles(page, taken));
}

/**
 * @param {Page} page
 * @param {import("./file-drop.js").Taken[]} taken
 */
async function addFiles(page, taken) {
  if (page.settings.files === "nobody") return page.setText($("problem"), "error.files_not_allowed");
  if (form().kind.value === "text") form().kind.value = "file";
  try {
    const files = await loadFiles(page);
    await files.add(taken);
    page.setText($("problem"), files.problem(form().kind.value));
  } catch (error) {
    page.setText($("problem"), problemOf(error));
  }
  updateForm(page);
}

/** Load everything that files need, once, while there is a network. @param {Page} page */
async function loadFiles(page) {
  const [{ ChosenFiles }] = await Promise.all([import("./chosen-files.js"), loadSending(), loadResult(page)])
    .catch(() => {
      throw new ApiError("missing");
    });
  chosen ??= new ChosenFiles(page, () => updateForm(page));
  if (!chosen.limits) await chosen.loadLimits();
  return chosen;
}

/** Load what uploads files. */
async function loadSending() {
  return import("./sending.js");
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
  const kind = form().kind.value;
  const isLink = kind === "redirect";
  const hasFiles = kind === "file" || Boolean(chosen?.files.length);
  const placeholder = isLink ? "create.placeholderLink" : hasFiles ? "attach.placeholder" : "create.placeholder";
  page.setText($("kind-hint"), isLink ? "kind.redirectHint" : null);
  $("neogram-field").hidden = isLink || hasFiles;
  $("files").hidden = !hasFiles;
  if (kind === "file") loadFiles(page).catch((error) => page.setText($("files-hint"), problemOf(error)));
  field("secret").dataset.tPlaceholder = placeholder;
  field("secret").placeholder = page.locale.t(placeholder);
  $("own-passcode-field").hidden = select("passcode-kind").value !== "own";
  $("generator").hidden = isLink || kind === "file";
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
  const [problem, fieldId] = findProblem(page.settings, kind, text, chosen);
  page.setText($("problem"), problem);
  if (problem) return focusField(fieldId);
  if (isKeyMissing(page)) {
    page.setText($("problem"), "key.needed");
    return focusKeyField();
  }
  try {
    await whileBusy(button, page, "create.submitting", () => create(page, kind, text));
  } catch (error) {
    if (!$("sending").hidden) showOnly("compose");
    page.setText($("problem"), problemOf(error));
    if (chosen?.files.length) button.focus();
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
  if (["cancelled", "source_changed"].includes(error?.code)) return `upload.${error.code}`;
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
  const hasFiles = Boolean(chosen?.files.length);
  const options = {
    type: type === "redirect" ? type : field("neogram").checked && !hasFiles ? "neogram" : "text",
    passcode,
    expiresIn: Number(select("lifetime").value),
    maxViews: views === "any" ? null : Number(views),
    publicNote: field("note").value.trim() || undefined,
    label: field("label").value.trim() || undefined,
  };
  const created = chosen && hasFiles
    ? await (await loadSending()).createWithFiles(page, apiWithKey(), text, chosen.files, options)
    : await createSecret(apiWithKey(), text, options);
  chosen?.clear();
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
