// @ts-check
/** The progress of an upload: bytes, rate and time left, with buttons that pause and cancel it. */

import { ProgressPanel } from "./progress-panel.js";
import { $, roundUp, showOnly } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./upload.js").Upload} Upload */

const REFRESH_MS = 500;

/**
 * Show the upload instead of the form, until the returned function is called.
 * @param {Page} page
 * @param {Upload} upload
 * @returns {() => void}
 */
export function showSending(page, upload) {
  const heading = page.element("h1", "upload.title", { tabIndex: -1 });
  const head = box("head", heading, page.element("p", "upload.lead", { className: "lead" }));
  const panel = new ProgressPanel(page, "upload.title", {
    toggle() {
      if (upload.status === "paused") upload.resume();
      else upload.pause();
      refresh();
    },
    cancel: () => upload.cancel(),
  });
  const refresh = () => panel.show(upload, progressText(upload), upload.status !== "paused");
  $("sending").replaceChildren(head, box("", panel.root));
  showOnly("sending");
  page.setHead(head, heading, "upload.title", "active");
  refresh();
  heading.focus({ preventScroll: true });
  const timer = setInterval(refresh, REFRESH_MS);
  return () => {
    clearInterval(timer);
    $("sending").replaceChildren();
  };
}

/**
 * @param {Upload} upload
 * @returns {(locale: import("./i18n.js").Locale) => string}
 */
function progressText(upload) {
  const { done, total, status } = upload;
  const rate = upload.rate();
  const seconds = Math.max(1, roundUp((total - done) / (rate || 1)));
  const key = status === "running" && !rate ? "upload.starting" : `upload.${status}`;
  return (locale) => locale.t(key, {
    done: locale.size(done),
    total: locale.size(total),
    rate: locale.size(rate),
    time: locale.duration(seconds),
  });
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
