// @ts-check
/**
 * The panel for the API key, on servers where only key holders may create secrets. The key is kept in this tab's memory
 * and, if the person asks for it, in the browser's password manager.
 */

import { api } from "./api.js";
import { $, errorText, field } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */

/** @type {string | undefined} */
let key;

/** Return a client of this server that sends the key if there is one. */
export function apiWithKey() {
  return api({ token: key });
}

/** @param {Page} page */
export function isKeyMissing(page) {
  return page.settings.create === "keys" && !key;
}

/** @param {Page} page */
export function setUpKeyPanel(page) {
  page.setText($("key-lead"), page.settings.create === "keys" ? "key.lead" : "key.leadAnyone");
  placePanel(page);
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
    $("key-in-use").hidden = true;
    placePanel(page);
    field("key").focus();
  });
}

/**
 * Put the panel before the form while the required key is missing, else at the end.
 * @param {Page} page
 */
function placePanel(page) {
  /** @type {HTMLDetailsElement & HTMLElement} */
  const panel = $("key-panel");
  const isFirst = isKeyMissing(page);
  panel.classList.toggle("card", isFirst);
  if (isFirst) {
    panel.open = true;
    $("form").before(panel);
  } else $("compose").append(panel);
}

/**
 * @param {Page} page
 * @param {string} token
 */
async function useKey(page, token) {
  try {
    const { name } = await api({ token }).account();
    key = token;
    if (field("key-keep").checked) await savePassword(name, token);
    field("key").value = "";
    $("key-form").hidden = true;
    $("key-in-use").hidden = false;
    placePanel(page);
    page.setText($("key-account"), (locale) => locale.t("key.account", { account: name }));
    page.setText($("key-problem"), null);
    page.setText($("problem"), null);
    field("secret").focus();
  } catch (error) {
    page.setText($("key-problem"), errorText(error));
    field("key").focus();
  }
}

/**
 * Offer the key to the browser's password manager. A browser without this interface asks on its own.
 * @param {string} account
 * @param {string} password
 */
async function savePassword(account, password) {
  const { PasswordCredential } = /** @type {any} */ (window);
  if (!PasswordCredential) return;
  try {
    await navigator.credentials.store(new PasswordCredential({ id: account, name: account, password }));
  } catch {
    // Refused by the person or the browser: the key still works in this tab.
  }
}

/** Scroll to the key's field and focus it. */
export function focusKeyField() {
  /** @type {HTMLDetailsElement & HTMLElement} */
  const panel = $("key-panel");
  panel.open = true;
  field("key").focus();
  field("key").scrollIntoView({ block: "center" });
}
