// @ts-check
/**
 * The API key, for servers on which only its holders may seal. It lives in this tab's memory; whoever asks for it may
 * have the browser's password manager keep it. Nothing else does.
 */

import { api } from "./api.js";
import { $, errorText, field } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */

/** @type {string | undefined} */
let key;

/** The server, asked with the key where there is one. */
export function ask() {
  return api({ token: key });
}

/** @param {Page} page */
export function isKeyMissing(page) {
  return page.settings.create === "keys" && !key;
}

/** @param {Page} page */
export function setUpKeyPanel(page) {
  page.put($("key-lead"), page.settings.create === "keys" ? "key.lead" : "key.leadAnyone");
  place(page);
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
    place(page);
    field("key").focus();
  });
}

/**
 * Before the form while nothing can be sealed without a key, else after it.
 * @param {Page} page
 */
function place(page) {
  /** @type {HTMLDetailsElement & HTMLElement} */
  const panel = $("key-panel");
  const isFirst = isKeyMissing(page);
  panel.classList.toggle("card", isFirst);
  if (isFirst) {
    panel.open = true;
    $("form").before(panel);
  } else $("form").after(panel);
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
    place(page);
    page.put($("key-account"), (words) => words.t("key.account", { account: name }));
    page.put($("key-problem"), null);
    page.put($("problem"), null);
    field("secret").focus();
  } catch (error) {
    page.put($("key-problem"), errorText(error));
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

/** Bring the field into view, for whoever pressed the button without a key. */
export function focusKeyField() {
  /** @type {HTMLDetailsElement & HTMLElement} */
  const panel = $("key-panel");
  panel.open = true;
  field("key").focus();
  field("key").scrollIntoView({ block: "center" });
}
