// @ts-check
/** The list of a secret's files: saves one, all in a folder, or all as a zip, and says how far that is. */

import { confirmLeaving } from "./confirm-leaving.js";
import { isShowable, preview } from "./file-preview.js";
import { savedNames } from "./file-name.js";
import { FileSource } from "./file-source.js";
import { ProgressPanel } from "./progress-panel.js";
import { canPick, canPickFolder, fileTarget, folderTargets, pour } from "./save-targets.js";
import { Transfer } from "./transfer.js";
import { onSecondPress, roundUp } from "./ui.js";
import { keepAwake } from "./wake-lock.js";
import { zip, zipSize } from "./zip-stream.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./save-targets.js").Target} Target */
/** @typedef {import("./file-header.js").FileHeader} FileHeader */
/** @typedef {import("./file-source.js").Granted} Granted */
/** @typedef {import("./file-source.js").Server} Server */
/** @typedef {{path: string, size: number, start: number, isSaved: boolean, row: HTMLElement}} ListedFile */

const ZIP_NAME = "secret-files.zip";
const CLOCK_MS = 20_000;

/** Shows the files of one secret in `root`. */
export class FileList {
  /**
   * @param {Page} page
   * @param {Server} server
   * @param {FileHeader} header
   * @param {Granted | undefined} granted undefined: the server says nothing of the files that the header names
   * @param {(text: import("./ui.js").Text) => void} announce
   * @param {() => void} onGone the server has no more of the files, for this reader
   */
  constructor(page, server, header, granted, announce, onGone) {
    this.page = page;
    this.server = server;
    this.header = header;
    this.granted = granted ?? { size: 0, chunks: 0, grant: "", grantExpiresAt: 0 };
    this.announce = announce;
    this.onGone = onGone;
    /** @type {Transfer | null} */
    this.transfer = null;
    this.hasEnded = false;
    /** @type {FileSource | null} */
    this.source = null;
    this.panel = new ProgressPanel(page, "files.progressLabel", {
      toggle: () => (this.transfer?.status === "running" ? this.transfer.pause() : this.transfer?.resume()),
      cancel: () => this.transfer?.stop(),
    });
    this.panel.root.hidden = true;
    this.until = Object.assign(document.createElement("p"), { className: "hint" });
    this.root = document.createElement("section");
    this.root.className = "files";
    const names = savedNames(header.files);
    let start = 0;
    this.files = header.files.map(({ size }, index) => {
      const { folder, name } = names[index];
      const file = { path: folder ? `${folder}/${name}` : name, size, start, isSaved: false, row: document.createElement("li") };
      start += size;
      return file;
    });
    this.#build();
    this.#open().catch((error) => this.#end(error.code === "not_authentic" ? "files.damaged" : "files.failed"));
  }

  /** Return whether something is being saved, or still has to be. */
  get isWanted() {
    const canSave = !this.hasEnded && Date.now() < this.granted.grantExpiresAt;
    return this.transfer !== null || (canSave && this.files.some(({ isSaved }) => !isSaved));
  }

  /** Stop what is being saved, and forget the files' key. */
  stop() {
    this.transfer?.stop();
    clearInterval(this.clock);
    this.source = null;
    this.header = { ...this.header, key: new Uint8Array(32) };
  }

  #build() {
    const heading = this.page.element("h2", "files.title", { id: "files-title" });
    this.root.setAttribute("aria-labelledby", heading.id);
    const list = document.createElement("ul");
    for (const file of this.files) list.append(this.#row(file));
    this.#showTimeLeft();
    this.clock = setInterval(() => this.#showTimeLeft(), CLOCK_MS);
    this.finished = Object.assign(document.createElement("button"), { type: "button", className: "secondary" });
    this.page.setLabels(this.finished, "files.done", "files.doneSure");
    onSecondPress(this.finished, this.page, () => this.#finish());
    const actions = Object.assign(document.createElement("div"), { className: "actions" });
    if (this.files.length > 1) {
      if (canPickFolder()) actions.append(this.#button("files.saveAll", () => this.#saveFolder(), "primary"));
      actions.append(this.#button("files.saveZip", () => this.#saveZip()));
    }
    actions.append(this.finished);
    this.root.append(heading, list, this.panel.root, actions, this.until);
  }

  /** @param {ListedFile} file */
  #row(file) {
    const name = Object.assign(document.createElement("span"), { className: "file", textContent: file.path, dir: "auto" });
    name.translate = false;
    const size = Object.assign(document.createElement("span"), { className: "hint" });
    this.page.setText(size, (locale) => locale.size(file.size));
    const buttons = Object.assign(document.createElement("div"), { className: "buttons" });
    const rank = this.files.length > 1 ? "secondary" : "primary";
    buttons.append(this.#button("files.save", () => this.#saveFile(file), rank, file.path));
    if (isShowable(file.path, file.size)) buttons.append(this.#showButton(file));
    file.row.append(name, size, buttons);
    return file.row;
  }

  /** @param {ListedFile} file */
  #showButton(file) {
    const button = this.#button("opened.show", async () => {
      const old = file.row.querySelector(".preview");
      old?.remove();
      if (!old) await this.#show(file);
      const label = /** @type {HTMLElement} */ (button.firstElementChild);
      this.page.setText(label, label.dataset.t = file.row.querySelector(".preview") ? "opened.hide" : "opened.show");
    }, "secondary", file.path);
    return button;
  }

  /**
   * @param {string} key
   * @param {() => Promise<void>} action
   * @param {string} [path] of its file, which screen readers say
   */
  #button(key, action, className = "secondary", path = "") {
    const button = Object.assign(document.createElement("button"), { type: "button", className });
    const hidden = { className: "visually-hidden", textContent: ` ${path}` };
    button.append(this.page.element("span", key), Object.assign(document.createElement("span"), hidden));
    button.addEventListener("click", () => this.#run(action));
    return button;
  }

  #showTimeLeft() {
    const { grantExpiresAt } = this.granted;
    const seconds = Math.max(1, (grantExpiresAt - Date.now()) / 1000);
    const time = seconds > 7200 ? Math.round(seconds / 3600) * 3600 : roundUp(seconds);
    this.page.setText(this.until, (locale) =>
      locale.t("files.until", { until: locale.dateTime(grantExpiresAt), time: locale.duration(time) }));
  }

  /** @param {ListedFile} file */
  async #saveFile(file) {
    const target = await fileTarget(file.path.split("/").pop() ?? "file", file.size);
    if (!target) return;
    await this.#save(file.size, (transfer) => this.#write(file, target, transfer));
    this.#showSaved([file]);
  }

  /** Show a file below its name. @param {ListedFile} file */
  async #show({ path, size, start, row }) {
    const bytes = new Uint8Array(size);
    let at = 0;
    await this.#save(size, async (transfer) => {
      for await (const piece of (await this.#open()).bytes(start, size, transfer)) {
        bytes.set(piece, at);
        at += piece.length;
      }
    });
    const shown = await preview(path, bytes);
    if (!shown) return this.announce("files.notShown");
    const box = Object.assign(document.createElement("div"), { className: "preview" });
    box.append(shown);
    row.append(box);
  }

  async #saveFolder() {
    const targetOf = await folderTargets();
    if (!targetOf) return;
    await this.#save(this.header.size, async (transfer) => {
      for (const file of this.files) await this.#write(file, await targetOf(file.path), transfer);
    });
    this.#showSaved(this.files);
  }

  async #saveZip() {
    const size = zipSize(this.files);
    const target = await fileTarget(ZIP_NAME, size);
    if (!target) return;
    await this.#save(size, async (transfer) => {
      const source = await this.#open();
      const entries = this.files.map(({ path, size, start }) => ({ path, size, bytes: source.bytes(start, size, transfer) }));
      await pour(zip(entries), target, transfer);
    });
    this.#showSaved(this.files);
  }

  /**
   * @param {ListedFile} file
   * @param {Target} target
   * @param {Transfer} transfer
   */
  async #write({ start, size }, target, transfer) {
    const source = await this.#open();
    await pour(source.bytes(start, size, transfer), target, transfer);
  }

  async #open() {
    this.source ??= await FileSource.of(this.server, this.header, this.granted);
    return this.source;
  }

  /**
   * Do what a button is for, unless something is being saved.
   * @param {() => Promise<void>} action
   */
  async #run(action) {
    if (this.root.hasAttribute("aria-busy")) return;
    this.root.setAttribute("aria-busy", "true");
    this.announce(null);
    try {
      await action();
    } catch (error) {
      this.#showError(error);
    } finally {
      this.root.removeAttribute("aria-busy");
    }
  }

  /**
   * @param {number} total bytes
   * @param {(transfer: Transfer) => Promise<void>} work
   */
  async #save(total, work) {
    const transfer = new Transfer(total, this.granted.grantExpiresAt, () => this.#showProgress(transfer));
    this.transfer = transfer;
    this.#showProgress(transfer);
    this.panel.root.hidden = false;
    confirmLeaving(true);
    try {
      await keepAwake(() => work(transfer));
    } finally {
      confirmLeaving(false);
      this.transfer = null;
      this.panel.root.hidden = true;
    }
  }

  /** @param {Transfer} transfer */
  #showProgress(transfer) {
    const { done, total, status } = transfer;
    const time = roundUp(Math.max(1, transfer.secondsLeft()));
    this.panel.show(transfer, (locale) => locale.t(`files.${status}`,
      { done: locale.size(done), total: locale.size(total), time: locale.duration(time) }), status === "running");
  }

  /** @param {ListedFile[]} files */
  #showSaved(files) {
    for (const file of files.filter(({ isSaved }) => !isSaved)) {
      file.isSaved = true;
      file.row.classList.add("saved");
      file.row.children[1].after(this.page.element("span", "files.savedMark", { className: "saved-mark" }));
    }
    // What the page wrote itself is on the disk; a browser can still lose a download.
    if (!canPick()) this.announce("files.handedOver");
    else if (this.files.every(({ isSaved }) => isSaved)) this.#finish();
    else this.announce("files.saved");
  }

  async #finish() {
    try {
      await this.server.finishFiles(this.granted.grant);
      this.#end("files.allSaved");
    } catch (error) {
      if (isEnd(error)) this.#end("files.allSaved");
      else this.announce("files.notFinished");
    }
  }

  /** @param {any} error */
  #showError(error) {
    if (isEnd(error)) this.#end("files.gone");
    else if (error?.code === "not_authentic") this.announce("files.damaged");
    else this.announce(["stopped", "cut"].includes(error?.code) ? `files.${error.code}` : "files.failed");
  }

  /** Nothing more can be saved. @param {string} key */
  #end(key) {
    this.hasEnded = true;
    if (key === "files.allSaved" || key === "files.gone") this.onGone();
    this.stop();
    for (const button of this.root.querySelectorAll("button")) button.disabled = true;
    this.until.remove();
    this.finished?.remove();
    this.announce(key);
  }
}

/** @param {any} error */
function isEnd(error) {
  return error?.code === "gone" || error?.code === "not_found";
}
