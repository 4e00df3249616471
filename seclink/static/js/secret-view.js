// @ts-check
/**
 * What was in a secret, put on the page: text, a web address, a neogram, a file. Always as text or as a download; what
 * a browser would run or render is never handed to it as such.
 */

import { fromUtf8 } from "./bytes.js";
import { redirectUrl } from "./seal.js";
import { copy, download } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./formats.js").Opened} Opened */

const TYPING_MS = 35;
const TYPING_MOST_MS = 20_000;
const READING_SECONDS = 15;
const CHARACTERS_PER_SECOND = 15;

/**
 * Fill `content`. For how many seconds it is to stand there: a neogram's until it was read, any other's without end.
 * @param {HTMLElement} content
 * @param {Page} page
 * @param {Opened} opened
 * @param {(key: string) => void} say
 * @returns {number}
 */
export function show(content, page, opened, say) {
  const { type, body, files = [] } = opened;
  const text = type === "file" ? null : readable(body);
  if (text === null) showFile(content, page, opened);
  else if (type === "neogram") return play(content, page, text);
  else if (type === "redirect") showAddress(content, page, text, say);
  else showText(content, page, text, say);
  for (const each of files) content.append(...file(page, each, "opened.attached"));
  return Infinity;
}

/**
 * What becomes of the secret at the server.
 * @param {any} answer the server's to the reveal
 * @returns {(words: import("./i18n.js").Words) => string}
 */
export function fate({ viewsLeft: count, expiresAt }) {
  const key = count === 0 ? "opened.lastOne" : count === null ? "opened.leftAny" : "opened.left";
  return (words) => words.t(key, { count, until: words.when(expiresAt) });
}

/** @param {Uint8Array} body */
function readable(body) {
  try {
    return fromUtf8(body);
  } catch {
    return null;
  }
}

/**
 * @param {HTMLElement} content
 * @param {Page} page
 * @param {string} text
 * @param {(key: string) => void} say
 */
function showText(content, page, text, say) {
  const shown = block("pre", { className: "secret", tabIndex: 0, dir: "auto", textContent: text });
  name(shown, page);
  const hide = page.element("button", "opened.hide", { type: "button", className: "plain" });
  hide.addEventListener("click", () => {
    const isHidden = shown.classList.toggle("covered");
    shown.textContent = isHidden ? "•".repeat(12) : text;
    hide.dataset.t = isHidden ? "opened.show" : "opened.hide";
    hide.textContent = page.words.t(hide.dataset.t);
  });
  content.replaceChildren(shown, row(copyButton(page, text, say, shown), hide,
    downloadButton(page, new TextEncoder().encode(text), "secret.txt")));
}

/**
 * @param {HTMLElement} content
 * @param {Page} page
 * @param {string} text
 * @param {(key: string) => void} say
 */
function showAddress(content, page, text, say) {
  const address = redirectUrl(text);
  if (!address) {
    showText(content, page, text, say);
    content.prepend(page.element("p", "opened.badLink", { className: "problem" }));
    return;
  }
  const { host, href } = address;
  // As the browser will read it: other scripts as xn--, what is invisible as %.. Nothing else can be hidden in it.
  const whole = block("pre", { className: "secret address", tabIndex: 0, dir: "ltr", textContent: href });
  name(whole, page);
  const go = block("a", { className: "primary", href, target: "_blank", rel: "noopener noreferrer" });
  page.put(go, (words) => words.t("opened.go", { host }));
  const named = block("p", { className: "host", textContent: host });
  const buttons = row(go, copyButton(page, href, say, whole, "plain"));
  content.replaceChildren(page.element("p", "opened.leadsTo"), named, whole, buttons);
}

/**
 * @param {HTMLElement} content
 * @param {Page} page
 * @param {Opened} opened
 */
function showFile(content, page, { type, name, body }) {
  const isFile = type === "file";
  const parts = isFile ? file(page, { name, body }) : file(page, { name: "secret.bin", body }, "opened.binary");
  content.replaceChildren(...parts);
}

/**
 * @param {Page} page
 * @param {{ name?: string, body: Uint8Array }} given
 */
function file(page, { name = "", body }, key = "opened.file") {
  const fileName = safeName(name) || "file";
  const what = block("p", { dir: "auto" });
  page.put(what, (words) => words.t(key, { name: fileName, size: body.length }));
  const isAll = key !== "opened.attached";
  return [what, row(downloadButton(page, body, fileName, isAll ? "primary" : "plain"))];
}

/**
 * A message that types itself out and is gone a while after. Those who asked for less motion, and screen readers, get
 * it whole.
 * @param {HTMLElement} content
 * @param {Page} page
 * @param {string} text
 */
function play(content, page, text) {
  const letters = split(text, page.words.code);
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const pause = isStill ? 0 : Math.min(TYPING_MS, TYPING_MOST_MS / letters.length);
  const typed = block("p", { className: "neogram", dir: "auto" });
  typed.setAttribute("aria-hidden", "true");
  content.replaceChildren(block("p", { className: "sr", textContent: text }), typed);
  type(typed, letters, pause);
  return READING_SECONDS + Math.ceil(letters.length * (pause / 1000 + 1 / CHARACTERS_PER_SECOND));
}

/**
 * @param {HTMLElement} typed
 * @param {string[]} letters
 * @param {number} pause ms
 */
async function type(typed, letters, pause) {
  const start = performance.now();
  for (let shown = 0; shown < letters.length && typed.isConnected; ) {
    shown = pause ? Math.min(letters.length, 1 + Math.floor((performance.now() - start) / pause)) : letters.length;
    typed.textContent = letters.slice(0, shown).join("");
    await sleep(pause);
  }
}

/**
 * What a reader would call letters: an emoji or an accented letter is not typed in halves.
 * @param {string} text
 * @param {string} language
 */
function split(text, language) {
  const { Segmenter } = /** @type {any} */ (Intl);
  if (!Segmenter) return [...text];
  return Array.from(new Segmenter(language).segment(text), ({ segment }) => segment);
}

/**
 * A file name that is only a name: no folders, nothing invisible, nothing that turns the reading direction around.
 * @param {string} name
 */
function safeName(name) {
  const base = name.split(/[/\\]/).pop() ?? "";
  const plain = base.replace(/[\p{C}\p{Zl}\p{Zp}<>:"|?*]/gu, "").replace(/^[.\s]+|[.\s]+$/g, "");
  return [...plain].slice(0, 120).join("");
}

/**
 * @param {Page} page
 * @param {string} text
 * @param {(key: string) => void} say
 * @param {HTMLElement} source selected where the browser will not copy
 * @param {string} className
 */
function copyButton(page, text, say, source, className = "primary") {
  const button = page.element("button", "opened.copy", { type: "button", className });
  button.addEventListener("click", async () => {
    const done = await copy(text);
    if (!done) getSelection()?.selectAllChildren(source);
    say(done ? "opened.copied" : "result.copyFailed");
  });
  return button;
}

/**
 * @param {Page} page
 * @param {Uint8Array} bytes
 * @param {string} name
 * @param {string} className
 */
function downloadButton(page, bytes, name, className = "plain") {
  const button = page.element("button", "opened.download", { type: "button", className });
  button.addEventListener("click", () => download(bytes, name));
  return button;
}

/**
 * What can be scrolled can be reached with the keyboard, and says what it is.
 * @param {HTMLElement} region
 * @param {Page} page
 */
function name(region, page) {
  region.setAttribute("role", "region");
  region.dataset.tLabel = "opened.text";
  region.setAttribute("aria-label", page.words.t("opened.text"));
}

/** @param {HTMLElement[]} buttons */
function row(...buttons) {
  const made = block("div", { className: "actions" });
  made.append(...buttons);
  return made;
}

/**
 * @param {string} tag
 * @param {Record<string, any>} properties
 */
function block(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
