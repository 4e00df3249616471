// @ts-check
/** The progress of an upload: bytes, rate and time left, with buttons that pause and cancel it. */

import { $, roundUp, showOnly } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./upload.js").Upload} Upload */

const REFRESH_MS = 500;
/** @type {Record<string, string>} */
const SPOKEN = { paused: "upload.pausedShort", waiting: "upload.waitingShort" };

/**
 * Show the upload instead of the form, until the returned function is called.
 * @param {Page} page
 * @param {Upload} upload
 * @returns {() => void}
 */
export function showSending(page, upload) {
  const heading = page.element("h1", "upload.title", { tabIndex: -1 });
  const head = box("head", heading, page.element("p", "upload.lead", { className: "lead" }));
  const bar = Object.assign(document.createElement("progress"), { max: upload.total });
  bar.dataset.tLabel = "upload.title";
  bar.setAttribute("aria-label", page.locale.t("upload.title"));
  const text = Object.assign(document.createElement("p"), { className: "progress" });
  // Read out when it changes, unlike the numbers.
  const announced = Object.assign(document.createElement("p"), { className: "visually-hidden", role: "status" });
  const pause = Object.assign(document.createElement("button"), { type: "button", className: "secondary" });
  page.setLabels(pause, "upload.pause", "upload.resume");
  const cancel = page.element("button", "upload.cancel", { type: "button", className: "danger" });
  const refresh = () => {
    bar.value = upload.done;
    page.setText(text, progressText(upload));
    const labels = ["upload.pause", "upload.resume"];
    if (upload.status === "paused") labels.reverse();
    if (pause.dataset.tOther !== labels[1]) page.setLabels(pause, labels[0], labels[1]);
    const state = SPOKEN[upload.status] ?? "upload.title";
    if (announced.dataset.state !== state) page.setText(announced, announced.dataset.state = state);
  };
  pause.addEventListener("click", () => {
    if (upload.status === "paused") upload.resume();
    else upload.pause();
    refresh();
  });
  cancel.addEventListener("click", () => upload.cancel());
  $("sending").replaceChildren(head, box("", bar, text, announced, box("actions", pause, cancel)));
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
