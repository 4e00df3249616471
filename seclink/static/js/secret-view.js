// @ts-check
/**
 * Shows an opened secret: a text, a URL, a neogram or a file. Everything is shown as text or offered as a download; the
 * browser is never given content that it would run or render.
 */

import { fromUtf8 } from "./bytes.js";
import { redirectUrl } from "./seal.js";
import { copy, selectText, showDone } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./openers.js").Opened} Opened */
/** @typedef {import("./bytes.js").Bytes} Bytes */

const TYPING_MS = 35;
const MAX_TYPING_MS = 20_000;
const MIN_READING_SECONDS = 15;
const CHARACTERS_READ_PER_SECOND = 15;

/**
 * Fill `content`. Returns for how many seconds it may be shown: a neogram as long as reading it takes, everything else
 * without limit.
 * @param {HTMLElement} content
 * @param {Page} page
 * @param {Opened} opened
 * @param {(key: string) => void} announce
 * @returns {number}
 */
export function showSecret(content, page, opened, announce) {
  const { type, body, files = [] } = opened;
  const text = type === "file" ? null : decode(body);
  if (text === null) showFile(content, page, opened);
  else if (type === "neogram") return playNeogram(content, page, text);
  else if (type === "redirect") showUrl(content, page, text, announce);
  else showText(content, page, text, announce);
  for (const attachment of files) content.append(...fileElements(page, attachment, "opened.attached"));
  return Infinity;
}

/**
 * Return the text that says how often the secret can still be opened.
 * @param {any} response to the reveal
 * @returns {(locale: import("./i18n.js").Locale) => string}
 */
export function remainingViewsText({ viewsLeft: count, expiresAt, files }) {
  const key = count === null ? "opened.leftAny" : count ? "opened.left" : files ? "opened.lastOneFiles" : "opened.lastOne";
  const until = count === 0 && files ? files.grantExpiresAt : expiresAt;
  return (locale) => locale.t(key, { count, until: locale.dateTime(until) });
}

/**
 * Offer bytes as a download, with a media type that no browser displays.
 * @param {BlobPart} bytes
 * @param {string} name
 */
export function download(bytes, name) {
  const href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

/** @param {Bytes} body */
function decode(body) {
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
 * @param {(key: string) => void} announce
 */
function showText(content, page, text, announce) {
  const region = element("pre", { className: "secret", tabIndex: 0, dir: "auto", translate: false, textContent: text });
  makeRegion(region, page);
  const hide = element("button", { type: "button", className: "secondary" });
  page.setLabels(hide, "opened.hide", "opened.show");
  const toggle = () => {
    const isHidden = region.classList.toggle("masked");
    region.textContent = isHidden ? "•".repeat(12) : text;
    if (isHidden) page.setLabels(hide, "opened.show", "opened.hide");
    else page.setLabels(hide, "opened.hide", "opened.show");
  };
  const visible = () => {
    if (region.classList.contains("masked")) toggle();
    return region;
  };
  hide.addEventListener("click", toggle);
  content.replaceChildren(region, row(copyButton(page, text, announce, visible), hide,
    downloadButton(page, new TextEncoder().encode(text), "secret.txt")));
}

/**
 * @param {HTMLElement} content
 * @param {Page} page
 * @param {string} text
 * @param {(key: string) => void} announce
 */
function showUrl(content, page, text, announce) {
  const url = redirectUrl(text);
  if (!url) {
    showText(content, page, text, announce);
    content.prepend(page.element("p", "opened.badLink", { className: "problem" }));
    return;
  }
  const { host, href } = url;
  // The URL as the browser parses it: other scripts as xn--, invisible characters as %.., so nothing is hidden in it.
  const region = element("pre", { className: "secret url", tabIndex: 0, dir: "ltr", translate: false, textContent: href });
  makeRegion(region, page);
  const link = element("a", { className: "primary", href, target: "_blank", rel: "noopener noreferrer" });
  page.setText(link, (locale) => locale.t("opened.go", { host }));
  const hostLine = element("p", { className: "host", translate: false, textContent: host });
  const buttons = row(link, copyButton(page, href, announce, () => region, "secondary"));
  content.replaceChildren(page.element("p", "opened.leadsTo"), hostLine, region, buttons);
}

/**
 * @param {HTMLElement} content
 * @param {Page} page
 * @param {Opened} opened
 */
function showFile(content, page, { type, name, body }) {
  const isFile = type === "file";
  content.replaceChildren(...(isFile ? fileElements(page, { name, body })
    : fileElements(page, { name: "secret.bin", body }, "opened.binary")));
}

/**
 * @param {Page} page
 * @param {{ name?: string, body: Bytes }} file
 */
function fileElements(page, { name = "", body }, key = "opened.file") {
  const fileName = safeName(name) || "file";
  const description = element("p", { dir: "auto" });
  page.setText(description, (locale) => locale.t(key, { name: fileName, size: body.length }));
  const isAttachment = key === "opened.attached";
  return [description, row(downloadButton(page, body, fileName, isAttachment ? "secondary" : "primary"))];
}

/**
 * Type out a message. With reduced motion, and for screen readers, the whole text is there at once.
 * @param {HTMLElement} content
 * @param {Page} page
 * @param {string} text
 * @returns {number} seconds until it may be wiped
 */
function playNeogram(content, page, text) {
  const characters = split(text, page.locale.code);
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const pause = isStill ? 0 : Math.min(TYPING_MS, MAX_TYPING_MS / characters.length);
  const target = element("p", { className: "neogram", dir: "auto", translate: false });
  target.setAttribute("aria-hidden", "true");
  content.replaceChildren(element("p", { className: "visually-hidden", translate: false, textContent: text }), target);
  typeOut(target, characters, pause);
  return MIN_READING_SECONDS + Math.ceil(characters.length * (pause / 1000 + 1 / CHARACTERS_READ_PER_SECOND));
}

/**
 * @param {HTMLElement} target
 * @param {string[]} characters
 * @param {number} pause ms
 */
async function typeOut(target, characters, pause) {
  const start = performance.now();
  for (let count = 0; count < characters.length && target.isConnected; ) {
    const due = pause ? 1 + Math.floor((performance.now() - start) / pause) : characters.length;
    count = Math.min(characters.length, due);
    target.textContent = characters.slice(0, count).join("");
    await sleep(pause);
  }
}

/**
 * Split a text into the characters that a reader sees: an emoji or an accented letter is not typed in halves.
 * @param {string} text
 * @param {string} language
 */
function split(text, language) {
  const { Segmenter } = /** @type {any} */ (Intl);
  if (!Segmenter) return [...text];
  return Array.from(new Segmenter(language).segment(text), ({ segment }) => segment);
}

/**
 * Return a file name without folders, invisible characters, or characters that change the reading direction.
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
 * @param {(key: string) => void} announce
 * @param {() => HTMLElement} source returns what shows the text, selected if the browser does not copy
 * @param {string} className
 */
function copyButton(page, text, announce, source, className = "primary") {
  const button = element("button", { type: "button", className });
  button.append(element("span", { className: "i-copy" }));
  page.setLabels(button, "opened.copy", "result.copied");
  button.addEventListener("click", async () => {
    const isCopied = await copy(text);
    if (!isCopied) selectText(source());
    announce(isCopied ? "result.copied" : "result.copyFailed");
    if (isCopied) showDone(button, page);
  });
  return button;
}

/**
 * @param {Page} page
 * @param {Bytes} bytes
 * @param {string} name
 * @param {string} className
 */
function downloadButton(page, bytes, name, className = "secondary") {
  const button = page.element("button", "opened.download", { type: "button", className });
  button.addEventListener("click", () => download(bytes, name));
  return button;
}

/**
 * Name an element that scrolls, which the keyboard can reach, for screen readers.
 * @param {HTMLElement} region
 * @param {Page} page
 */
function makeRegion(region, page) {
  region.setAttribute("role", "region");
  region.dataset.tLabel = "opened.text";
  region.setAttribute("aria-label", page.locale.t("opened.text"));
}

/** @param {HTMLElement[]} buttons */
function row(...buttons) {
  const actions = element("div", { className: "actions" });
  actions.append(...buttons);
  return actions;
}

/**
 * @param {string} tag
 * @param {Record<string, any>} properties
 */
function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
