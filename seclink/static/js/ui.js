// @ts-check
/**
 * The helpers for the document. They only ever show text: no code of the pages makes markup from a string, and the
 * pages' Trusted Types policy forbids it.
 */

import { loadLocale } from "./i18n.js";

/** @typedef {import("./i18n.js").Locale} Locale */
/** @typedef {string | ((locale: Locale) => string) | null} Text a key, or a function that makes the text; null: none */

const CONFIRM_MS = 5000;
const COPY_MS = 1000;
const DONE_MS = 2500;

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
export function $(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/** @param {string} id */
export function field(id) {
  return /** @type {HTMLInputElement} */ ($(id));
}

/** @param {string} id */
export function select(id) {
  return /** @type {HTMLSelectElement} */ ($(id));
}

/** The language, the server's settings, and the texts that change with the language. */
export class Page {
  /**
   * @param {Locale} locale
   * @param {any} settings
   */
  constructor(locale, settings) {
    this.locale = locale;
    this.settings = settings;
    /** @type {Map<HTMLElement, (locale: Locale) => string>} */
    this.texts = new Map();
    /** @type {((locale: Locale) => void)[]} */
    this.listeners = [];
  }

  /**
   * Call `listener` now and whenever the language changes.
   * @param {(locale: Locale) => void} listener
   */
  onLanguage(listener) {
    this.listeners.push(listener);
    listener(this.locale);
  }

  /**
   * Show `text` in an element and keep it in the chosen language; null hides the element.
   * @param {HTMLElement} target
   * @param {Text} text
   */
  setText(target, text) {
    this.texts.delete(target);
    target.hidden = text === null;
    if (text === null) return void (target.textContent = "");
    const make = typeof text === "string" ? (/** @type {Locale} */ locale) => locale.t(text) : text;
    this.texts.set(target, make);
    const wording = make(this.locale);
    if (target.textContent !== wording) target.textContent = wording; // or it would be read out again
  }

  /**
   * Create an element with the text of a key.
   * @param {string} tag
   * @param {string} key
   * @param {Record<string, any>} [properties]
   */
  element(tag, key, properties = {}) {
    const created = Object.assign(document.createElement(tag), properties);
    created.dataset.t = key;
    created.textContent = this.locale.t(key);
    return created;
  }

  /**
   * Set the label of a button, and the one it shows for a while instead. It keeps room for both.
   * @param {HTMLElement} button
   * @param {string} key
   * @param {string} other a key
   */
  setLabels(button, key, other) {
    if (!button.firstElementChild) button.append(document.createElement("span"));
    Object.assign(button.dataset, { tOther: other, other: this.locale.t(other) });
    const label = labelOf(button);
    label.dataset.t = key;
    this.setText(label, key);
  }

  /** @param {string} code */
  async switchLanguage(code) {
    const loaded = await loadLocale(code).catch(() => null);
    select("language").value = (loaded ?? this.locale).code;
    if (!loaded) return this.sayMissing(document.querySelector("header"));
    const locale = this.locale = loaded;
    document.documentElement.lang = code;
    for (const element of all("[data-t]")) element.textContent = locale.t(element.dataset.t ?? "");
    const attributes = { "aria-label": "data-t-label", placeholder: "data-t-placeholder", "data-other": "data-t-other" };
    for (const [name, data] of Object.entries(attributes)) {
      for (const element of all(`[${data}]`)) element.setAttribute(name, locale.t(element.getAttribute(data) ?? ""));
    }
    for (const [target, text] of this.texts) {
      if (target.isConnected) target.textContent = text(locale);
      else this.texts.delete(target);
    }
    for (const listener of this.listeners) listener(locale);
    // The choice is kept only in the URL, so that a reload has the same language.
    history.replaceState(history.state, "", `${location.pathname}?lang=${code}${location.hash}`);
  }

  /**
   * Say below an element that a part of the page cannot be loaded: there is no network, or the server has newer pages.
   * @param {Element | null} above
   */
  sayMissing(above) {
    $("missing")?.remove();
    const message = this.element("p", "error.missing", { id: "missing", className: "problem", role: "alert" });
    above?.after(message);
  }

  /**
   * Show in the tab what the page shows: a title before the service's name, and for an ended secret its own icon.
   * @param {string} title a key
   * @param {string} [icon] the name of a file
   */
  setTab(title, icon) {
    const { name, logo } = this.settings;
    const target = /** @type {HTMLElement} */ (document.querySelector("title"));
    this.setText(target, (locale) => `${locale.t(title)} – ${name}`);
    const href = icon ? logo.replace(/[^/]*$/, `${icon}.svg`) : logo;
    if ($("icon").getAttribute("href") !== href) $("icon").setAttribute("href", href); // or it is loaded again
  }

  /**
   * Show what became of a secret in the head of a card, and in the tab.
   * @param {HTMLElement} head
   * @param {HTMLElement} heading
   * @param {string} title a key
   * @param {string} state which gives the head its shape
   */
  setHead(head, heading, title, state) {
    head.dataset.state = state;
    this.setText(heading, title);
    this.setTab(title, { revealed: "revealed", burned: "ended", expired: "ended", wiped: "ended" }[state]);
  }

  /**
   * Show only a card that says what happened and what to do, at least a way to the start page.
   * @param {string} title a key
   * @param {Text[]} lines
   * @param {HTMLElement[]} [actions]
   * @param {string} [state] which gives the card its shape
   */
  showNotice(title, lines, actions = [], state = "problem") {
    const card = showOnly("notice");
    const heading = this.element("h1", title, { tabIndex: -1 });
    const paragraphs = lines.map((line) => {
      const paragraph = document.createElement("p");
      this.setText(paragraph, line);
      return paragraph;
    });
    const home = this.element("a", "missing.home", { className: "secondary", href: brand().href });
    const head = box("head", heading);
    card.replaceChildren(head, box("", ...paragraphs, box("actions", ...actions, home)));
    this.setHead(head, heading, title, state);
    heading.focus({ preventScroll: true });
  }
}

/**
 * Set up language and footer. Resolves to null, with a card that says why, if the browser cannot encrypt here; then
 * nothing may be sent.
 * @returns {Promise<Page | null>}
 */
export async function openPage() {
  const { lang, dataset } = document.documentElement;
  const page = new Page(await loadLocale(lang), JSON.parse(dataset.settings ?? "{}"));
  document.querySelector(".not-started")?.remove();
  chooseLanguage(page);
  fillFooter(page.settings);
  removeLeftWorkers();
  if (isSecureContext && crypto.subtle) return page;
  const href = `https://${location.host}${location.pathname}${location.search}${location.hash}`;
  const secure = page.element("a", "insecure.open", { className: "primary", href });
  page.showNotice("insecure.title", ["insecure.why", "insecure.operator"], location.port ? [] : [secure]);
  return null;
}

/** Unregister the workers of downloads that no page has any more: their browser was killed. */
async function removeLeftWorkers() {
  const registrations = await navigator.serviceWorker?.getRegistrations() ?? [];
  if (!registrations.length) return;
  const { held = [] } = await navigator.locks.query();
  for (const registration of registrations) {
    const { scope } = registration;
    if (scope.startsWith(`${brand().href}dl/`) && !held.some(({ name }) => name?.startsWith(scope))) registration.unregister();
  }
}

/** The link to the start page. @returns {HTMLAnchorElement} */
function brand() {
  return /** @type {HTMLAnchorElement} */ (document.querySelector(".brand"));
}

/**
 * @param {string} className
 * @param {HTMLElement[]} children
 */
function box(className, ...children) {
  const created = Object.assign(document.createElement("div"), { className });
  created.append(...children);
  return created;
}

/** @param {Page} page */
function chooseLanguage(page) {
  const languages = select("language");
  fillSelect(languages, Object.entries(page.settings.languages), page.locale.code);
  languages.hidden = false;
  languages.addEventListener("change", () => page.switchLanguage(languages.value));
}

/** @param {any} settings */
function fillFooter({ footer, links }) {
  const text = Object.assign(document.createElement("p"), { textContent: footer ?? "" });
  const anchors = Object.entries(links ?? {}).map(([textContent, href]) =>
    Object.assign(document.createElement("a"), { textContent, href, rel: "noopener noreferrer" }));
  $("footer").prepend(...(footer ? [text] : []), ...anchors);
  $("verify").textContent += ` ${brand().href}`;
}

/**
 * @param {HTMLSelectElement} target
 * @param {[string, string][]} options pairs of value and text
 * @param {string} chosen a value
 */
export function fillSelect(target, options, chosen) {
  target.replaceChildren(...options.map(([value, text]) =>
    new Option(text, value, value === chosen, value === chosen)));
}

/**
 * Show one of the page's sections and hide the others.
 * @param {string} id
 */
export function showOnly(id) {
  for (const section of all("main > section:not(.print)")) section.hidden = section.id !== id;
  return $(id);
}

/** @param {HTMLElement} button */
function labelOf(button) {
  return /** @type {HTMLElement} */ (button.firstElementChild ?? button);
}

/**
 * Show another label on a button, or its own again. One that has two keeps room for the one that is not shown.
 * @param {HTMLElement} button
 * @param {Page} page
 * @param {string} [key]
 */
export function relabel(button, page, key) {
  const { dataset: { tOther } } = button;
  const label = labelOf(button);
  const { t = "" } = label.dataset;
  if (tOther) button.dataset.other = page.locale.t(key ? t : tOther);
  page.setText(label, key ?? t);
}

/**
 * Disable a button while `work` is done, so that a second press does nothing.
 * @template T
 * @param {HTMLElement} button
 * @param {Page} page
 * @param {string} key its text meanwhile
 * @param {() => Promise<T>} work
 */
export async function whileBusy(button, page, key, work) {
  button.setAttribute("aria-busy", "true");
  /** @type {HTMLButtonElement} */ (button).disabled = true;
  relabel(button, page, key);
  try {
    return await work();
  } finally {
    button.removeAttribute("aria-busy");
    /** @type {HTMLButtonElement} */ (button).disabled = false;
    relabel(button, page);
  }
}

/**
 * Call `action` on a second press within five seconds, for actions that cannot be undone.
 * @param {HTMLElement} button whose other label is the question
 * @param {Page} page
 * @param {() => void} action
 */
export function onSecondPress(button, page, action) {
  let timer = 0;
  const reset = () => {
    clearTimeout(timer);
    timer = 0;
    relabel(button, page);
  };
  button.addEventListener("click", () => {
    if (timer) {
      reset();
      action();
    } else {
      relabel(button, page, button.dataset.tOther);
      timer = setTimeout(reset, CONFIRM_MS);
    }
  });
}

/**
 * Say on a button for a moment that what it does is done.
 * @param {HTMLElement} button
 * @param {Page} page
 */
export function showDone(button, page) {
  const label = labelOf(button);
  label.classList.add("done");
  relabel(button, page, "result.copied");
  setTimeout(() => {
    label.classList.remove("done");
    relabel(button, page);
  }, DONE_MS);
}

/**
 * Copy text to the clipboard. Resolves to false if the browser refuses, or says nothing for a second.
 * @param {string} text
 * @returns {Promise<boolean>}
 */
export async function copy(text) {
  // It rejects without permission, or when the press was too long ago. With some extensions it never settles.
  const copied = Promise.resolve().then(() => navigator.clipboard.writeText(text)).then(() => true, () => false);
  return Promise.race([copied, new Promise((resolve) => setTimeout(resolve, COPY_MS, false))]);
}

/**
 * Select the text of an element, for copying by hand.
 * @param {HTMLElement} source
 */
export function selectText(source) {
  if (source instanceof HTMLInputElement) source.select();
  else getSelection()?.selectAllChildren(source);
}

// A triple click also selects the end of the line, which is no part of a secret.
addEventListener("copy", (event) => {
  const selection = getSelection();
  const source = selection?.anchorNode?.parentElement?.closest("[translate=no]");
  const [text, whole] = [String(selection), source?.textContent ?? ""];
  const line = text.replace(/\n+$/, "");
  if (!source || line === text) return;
  event.clipboardData?.setData("text/plain", line === whole.replace(/\n+$/, "") ? whole : line);
  event.preventDefault();
});

/**
 * Return the text for an error.
 * @param {any} error an ApiError, or a bug
 * @returns {(locale: Locale) => string}
 */
export function errorText(error) {
  const code = String(error?.code ?? "internal");
  const time = Math.max(1, error?.retryAfter ?? 1);
  return (locale) => locale.has(`error.${code}`)
    ? locale.t(`error.${code}`, { time: locale.duration(roundUp(time)) })
    : locale.t("error.other", { code });
}

/**
 * Round seconds up to whole minutes, or to whole seconds below 90.
 * @param {number} seconds
 */
export function roundUp(seconds) {
  return seconds > 90 ? Math.ceil(seconds / 60) * 60 : Math.ceil(seconds);
}

/**
 * @param {string} selector
 * @returns {NodeListOf<HTMLElement>}
 */
function all(selector) {
  return document.querySelectorAll(selector);
}
