// @ts-check
/** The files that are chosen for a secret: their list on the page, and what speaks against sending them. */

import { apiWithKey } from "./api-key-panel.js";
import { confirmLeaving } from "./confirm-leaving.js";
import { $ } from "./ui.js";

/** @typedef {import("./ui.js").Page} Page */
/** @typedef {import("./ui.js").Text} Text */
/** @typedef {import("./file-drop.js").Taken} Taken */
/** @typedef {import("./sending.js").ChosenFile} ChosenFile */
/** @typedef {{allowed: boolean, maxBytes: number, clientBytes: number | null}} Limits */

const MAX_FILES = 100;

export class ChosenFiles {
  /**
   * @param {Page} page
   * @param {() => void} onChange
   */
  constructor(page, onChange) {
    this.page = page;
    this.onChange = onChange;
    /** @type {ChosenFile[]} */
    this.files = [];
    /** @type {Limits | null} */
    this.limits = null;
    page.onLanguage(() => this.show());
  }

  get size() {
    return this.files.reduce((sum, { file }) => sum + file.size, 0);
  }

  /** Ask the server for the limits of this caller. Rejects with ApiError. */
  async loadLimits() {
    const limits = this.limits = await apiWithKey().fileLimits();
    const max = maxBytes(limits);
    this.page.setText($("files-hint"), limits.allowed
      ? (locale) => locale.t("attach.hint", { max: locale.size(max) }) : "error.files_not_allowed");
  }

  /** @param {Taken[]} taken */
  async add(taken) {
    try {
      for (const { entry, file } of taken) {
        if (entry?.isDirectory) await this.addFolder(/** @type {FileSystemDirectoryEntry} */ (entry), folderName(entry));
        else if (file) this.addFile(file, "");
      }
    } finally {
      this.changed(); // also where a folder cannot be read to its end
    }
  }

  /**
   * @param {FileSystemDirectoryEntry} folder
   * @param {string} path
   */
  async addFolder(folder, path) {
    const reader = folder.createReader();
    while (this.files.length <= MAX_FILES) {
      /** @type {FileSystemEntry[]} */
      const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // some, [] at the end
      if (!entries.length) return;
      for (const entry of entries) {
        if (entry.isDirectory) {
          await this.addFolder(/** @type {FileSystemDirectoryEntry} */ (entry), `${path}/${folderName(entry)}`);
        } else {
          const one = /** @type {FileSystemFileEntry} */ (entry);
          this.addFile(await new Promise((resolve, reject) => one.file(resolve, reject)), path);
        }
      }
    }
  }

  /**
   * @param {File} file
   * @param {string} folder
   */
  addFile(file, folder) {
    if (this.files.length > MAX_FILES) return; // one too many is told
    this.files.push({ file, name: wellFormed(file.name), folder, mediaType: file.type });
  }

  clear() {
    this.files = [];
    this.changed();
  }

  changed() {
    confirmLeaving(this.files.length > 0);
    this.show();
    this.onChange();
  }

  show() {
    const { page, files } = this;
    $("file-list").replaceChildren(...files.map((chosen, index) => this.row(chosen, index)));
    const { size } = this;
    page.setText($("files-total"), files.length
      ? (locale) => locale.t("attach.total", { count: files.length, size: locale.size(size) }) : null);
  }

  /**
   * @param {ChosenFile} chosen
   * @param {number} index
   */
  row({ file, name, folder }, index) {
    const { locale } = this.page;
    const path = folder ? `${folder}/${name}` : name;
    const row = document.createElement("li");
    const title = Object.assign(document.createElement("span"), { textContent: path, dir: "auto", translate: false });
    const size = Object.assign(document.createElement("span"), { className: "hint" });
    size.textContent = locale.size(file.size);
    const remove = Object.assign(document.createElement("button"), { type: "button", className: "secondary" });
    remove.textContent = "×";
    remove.setAttribute("aria-label", locale.t("attach.remove", { name: path }));
    remove.addEventListener("click", () => {
      this.files.splice(index, 1);
      this.changed();
      const next = $("file-list").querySelectorAll("button")[Math.min(index, this.files.length - 1)];
      (next ?? $("choose-files")).focus();
    });
    row.append(title, size, remove);
    return row;
  }

  /**
   * Return why the files cannot be sent, or null.
   * @param {string} kind of the form
   * @returns {Text}
   */
  problem(kind) {
    if (!this.files.length) return null;
    if (kind === "redirect") return "attach.link";
    if (this.files.length > MAX_FILES) return "attach.tooMany";
    if (!this.limits) return null;
    if (!this.limits.allowed) return "error.files_not_allowed";
    const { size } = this;
    const max = maxBytes(this.limits);
    if (size <= max) return null;
    return (locale) => locale.t("attach.tooLarge", { size: locale.size(size), max: locale.size(max) });
  }
}

/** Return a component of a path: readers refuse a backslash. @param {FileSystemEntry} entry */
function folderName({ name }) {
  return wellFormed(name).replaceAll("\\", "_");
}

/** @param {string} text */
function wellFormed(text) {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** @param {Limits} limits */
function maxBytes({ maxBytes, clientBytes }) {
  return Math.min(maxBytes, clientBytes ?? maxBytes);
}
