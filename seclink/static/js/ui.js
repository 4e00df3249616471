// @ts-check
/**
 * The only helpers that touch the document. What they show is always text: nothing here, or anywhere, makes markup
 * out of a string, and the page's Trusted Types policy would not let it.
 */

import { load } from "./i18n.js";

/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {string | ((words: Words) => string) | null} Text a key, or what makes the text; null for none */

const SURE_MS = 5000;

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

/** What every page has: words, the server's settings, texts that follow the language. */
export class Page {
  /**
   * @param {Words} words
   * @param {any} settings
   */
  constructor(words, settings) {
    this.words = words;
    this.settings = settings;
    /** @type {Map<HTMLElement, (words: Words) => string>} */
    this.texts = new Map();
    /** @type {((words: Words) => void)[]} */
    this.draws = [];
  }

  /**
   * Do something now and whenever the language changes.
   * @param {(words: Words) => void} draw
   */
  always(draw) {
    this.draws.push(draw);
    draw(this.words);
  }

  /**
   * Show `text` in an element, also when the language changes; null hides it.
   * @param {HTMLElement} target
   * @param {Text} text
   */
  put(target, text) {
    this.texts.delete(target);
    target.hidden = text === null;
    if (text === null) return void (target.textContent = "");
    const make = typeof text === "string" ? (/** @type {Words} */ words) => words.t(text) : text;
    this.texts.set(target, make);
    target.textContent = make(this.words);
  }

  /**
   * A new element with the text of a key.
   * @param {string} tag
   * @param {string} key
   * @param {Record<string, any>} [properties]
   */
  element(tag, key, properties = {}) {
    const made = Object.assign(document.createElement(tag), properties);
    made.dataset.t = key;
    made.textContent = this.words.t(key);
    return made;
  }

  /** @param {string} code */
  async speak(code) {
    this.words = await load(code);
    document.documentElement.lang = code;
    const { words } = this;
    for (const each of all("[data-t]")) each.textContent = words.t(each.dataset.t ?? "");
    for (const [name, key] of [["aria-label", "data-t-label"], ["placeholder", "data-t-placeholder"]]) {
      for (const each of all(`[${key}]`)) each.setAttribute(name, words.t(each.getAttribute(key) ?? ""));
    }
    for (const [target, text] of this.texts) {
      if (target.isConnected) target.textContent = text(words);
      else this.texts.delete(target);
    }
    for (const draw of this.draws) draw(words);
    // Not remembered anywhere but in the address, so that a reload speaks the same language.
    history.replaceState(history.state, "", `${location.pathname}?lang=${code}${location.hash}`);
  }

  /**
   * Replace the page by a card that says what happened and what to do.
   * @param {string} title a key
   * @param {Text[]} lines
   * @param {HTMLElement[]} [actions]
   */
  notice(title, lines, actions = []) {
    const card = only("notice");
    const heading = this.element("h1", title, { tabIndex: -1 });
    const paragraphs = lines.map((line) => {
      const paragraph = document.createElement("p");
      this.put(paragraph, line);
      return paragraph;
    });
    const row = Object.assign(document.createElement("div"), { className: "actions" });
    row.append(...actions);
    card.replaceChildren(heading, ...paragraphs, ...(actions.length ? [row] : []));
    heading.focus({ preventScroll: true });
  }
}

/**
 * Dress the page: language, footer. Resolves to null where nothing can be encrypted, having said why; then nothing
 * may be sent either.
 * @returns {Promise<Page | null>}
 */
export async function openPage() {
  const { lang, dataset } = document.documentElement;
  const page = new Page(await load(lang), JSON.parse(dataset.settings ?? "{}"));
  chooseLanguage(page);
  fillFooter(page.settings);
  if (isSecureContext && crypto.subtle) return page;
  page.notice("insecure.title", ["insecure.why", "insecure.reader", "insecure.operator"]);
  return null;
}

/** @param {Page} page */
function chooseLanguage(page) {
  const languages = select("language");
  fillSelect(languages, Object.entries(page.settings.languages), page.words.code);
  languages.hidden = false;
  languages.addEventListener("change", () => page.speak(languages.value));
}

/** @param {any} settings */
function fillFooter({ footer, links }) {
  const text = Object.assign(document.createElement("p"), { textContent: footer ?? "" });
  const anchors = Object.entries(links ?? {}).map(([textContent, href]) =>
    Object.assign(document.createElement("a"), { textContent, href, rel: "noopener noreferrer" }));
  $("footer").prepend(...(footer ? [text] : []), ...anchors);
}

/**
 * @param {HTMLSelectElement} target
 * @param {[string, string][]} options pairs of value and text
 * @param {string} chosen a value
 */
export function fillSelect(target, options, chosen) {
  const made = options.map(([value, text]) => new Option(text, value, value === chosen, value === chosen));
  target.replaceChildren(...made);
}

/**
 * Show one of the page's sections and hide the others.
 * @param {string} id
 */
export function only(id) {
  for (const each of all("main > section:not(.print)")) each.hidden = each.id !== id;
  return $(id);
}

/**
 * Disable a button while something is done; a second press meanwhile does nothing.
 * @template T
 * @param {HTMLElement} button
 * @param {Page} page
 * @param {string} key what it says meanwhile
 * @param {() => Promise<T>} work
 */
export async function busy(button, page, key, work) {
  const label = /** @type {HTMLElement} */ (button.firstElementChild ?? button);
  const { t } = label.dataset;
  button.setAttribute("aria-busy", "true");
  /** @type {HTMLButtonElement} */ (button).disabled = true;
  page.put(label, key);
  try {
    return await work();
  } finally {
    button.removeAttribute("aria-busy");
    /** @type {HTMLButtonElement} */ (button).disabled = false;
    page.put(label, t ?? "");
  }
}

/**
 * Call `action` on a press that is repeated within five seconds: what cannot be undone is asked twice.
 * @param {HTMLElement} button
 * @param {Page} page
 * @param {string} question a key
 * @param {() => void} action
 */
export function twice(button, page, question, action) {
  let timer = 0;
  const calm = () => {
    clearTimeout(timer);
    timer = 0;
    page.put(button, button.dataset.t ?? "");
  };
  button.addEventListener("click", () => {
    if (timer) {
      calm();
      action();
    } else {
      page.put(button, question);
      timer = setTimeout(calm, SURE_MS);
    }
  });
}

/**
 * Whether the text is in the clipboard now.
 * @param {string} text
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no permission, or the press was too long ago
  }
}

/**
 * Hand bytes to the browser as a download. Never as anything it would show.
 * @param {Uint8Array} bytes
 * @param {string} name
 */
export function download(bytes, name) {
  const href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

/**
 * What went wrong, for the person at the page.
 * @param {any} error a ApiError, or a mistake of ours
 * @returns {(words: Words) => string}
 */
export function errorText(error) {
  const code = String(error?.code ?? "internal");
  const time = Math.max(1, error?.retryAfter ?? 1);
  return (words) => words.has(`error.${code}`)
    ? words.t(`error.${code}`, { time: words.span(rough(time)) })
    : words.t("error.other", { code });
}

/**
 * Seconds rounded up to something one would say.
 * @param {number} seconds
 */
export function rough(seconds) {
  return seconds > 90 ? Math.ceil(seconds / 60) * 60 : Math.ceil(seconds);
}

/**
 * @param {string} selector
 * @returns {NodeListOf<HTMLElement>}
 */
function all(selector) {
  return document.querySelectorAll(selector);
}
