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
    this.pause = Object.assign(document.createElement("button"), { type: "button", className: "secondary" });
    page.setLabels(this.pause, "files.pause", "files.resume");
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
    const labels = ["files.resume", "files.pause"];
    if (transfer.status === "running") labels.reverse();
    if (this.pause.dataset.tOther !== labels[1]) this.page.setLabels(this.pause, labels[0], labels[1]);
  }

  hide() {
    this.transfer = null;
    this.root.hidden = true;
  }
}
