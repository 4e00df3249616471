// @ts-check
/** Progress of saving files, with buttons that pause and cancel it. */

import { roundUp } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./transfer.js").Transfer} Transfer */

export class SavingPanel {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    /** @type {Transfer | null} */
    this.transfer = null;
    this.root = Object.assign(document.createElement("div"), { className: "saving", hidden: true });
    this.bar = document.createElement("progress");
    this.bar.dataset.tLabel = "files.progressLabel";
    this.bar.setAttribute("aria-label", page.locale.t("files.progressLabel"));
    this.text = document.createElement("p");
    this.pause = page.element("button", "files.pause", { type: "button", className: "secondary" });
    this.pause.addEventListener("click", () => {
      if (this.transfer?.status === "running") this.transfer.pause();
      else this.transfer?.resume();
    });
    const stop = page.element("button", "files.stop", { type: "button", className: "secondary" });
    stop.addEventListener("click", () => this.transfer?.stop());
    const actions = Object.assign(document.createElement("div"), { className: "actions" });
    actions.append(this.pause, stop);
    this.root.append(this.bar, this.text, actions);
  }

  /** @param {Transfer} transfer */
  show(transfer) {
    this.transfer = transfer;
    this.root.hidden = false;
    this.bar.max = Math.max(1, transfer.total);
    this.bar.value = transfer.done;
    this.page.setText(this.text, (locale) => locale.t(`files.${transfer.status}`, {
      done: locale.size(transfer.done),
      total: locale.size(transfer.total),
      time: locale.duration(roundUp(Math.max(1, transfer.secondsLeft()))),
    }));
    const key = transfer.status === "running" ? "files.pause" : "files.resume";
    if (this.pause.dataset.t === key) return;
    this.pause.dataset.t = key;
    this.pause.textContent = this.page.locale.t(key);
  }

  hide() {
    this.transfer = null;
    this.root.hidden = true;
  }
}
