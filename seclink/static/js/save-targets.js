// @ts-check
/**
 * The ways from the page to the reader's disk: a file or folder that the reader picks (Chromium), a download of bytes
 * that the page holds whole, or one that it feeds through a service worker. A target is `write`, then `close`, which
 * gives the file its name, or `abort`, which leaves nothing of it.
 */

import { download } from "./secret-view.js";
import { hasWorkers, workerTarget } from "./worker-download.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./transfer.js").Transfer} Transfer */
/** @typedef {{write: (piece: Bytes) => Promise<void>, close: () => Promise<void>, abort: () => Promise<void>}} Target */

const MAX_HELD_BYTES = 64 * 2 ** 20;
const browser = /** @type {any} */ (globalThis);

/** Return whether this browser can save so many bytes. @param {number} size */
export function canSave(size) {
  return canPick() || hasWorkers() || size <= MAX_HELD_BYTES;
}

export function canPick() {
  return "showSaveFilePicker" in browser;
}

export function canPickFolder() {
  return "showDirectoryPicker" in browser;
}

/**
 * Return the target of a file, null if the reader closes the dialog. Has to be called by a press on a button.
 * @param {string} name
 * @param {number} size bytes
 * @returns {Promise<Target | null>}
 */
export async function fileTarget(name, size) {
  if (!canPick()) return size <= MAX_HELD_BYTES ? heldTarget(name) : workerTarget(name, size);
  try {
    return await diskTarget(await browser.showSaveFilePicker({ suggestedName: name }));
  } catch (error) {
    if (/** @type {any} */ (error)?.name === "AbortError") return null;
    throw error;
  }
}

/**
 * Return a function that makes the target of a file in a folder, null if the reader closes the dialog.
 * @returns {Promise<((path: string) => Promise<Target>) | null>}
 */
export async function folderTargets() {
  try {
    const root = await browser.showDirectoryPicker({ mode: "readwrite" });
    return async (path) => {
      const parts = path.split("/");
      let folder = root;
      for (const part of parts.slice(0, -1)) folder = await folder.getDirectoryHandle(part, { create: true });
      return diskTarget(await newFile(folder, parts[parts.length - 1]));
    };
  } catch (error) {
    if (/** @type {any} */ (error)?.name === "AbortError") return null;
    throw error;
  }
}

/**
 * Create a file under a name that the folder does not have yet: nothing is overwritten.
 * @param {any} folder
 * @param {string} name
 */
async function newFile(folder, name) {
  const [, stem, suffix] = /** @type {RegExpExecArray} */ (/^(.+?)(\.[^.]*)?$/s.exec(name));
  for (let number = 1; number < 1000; number += 1) {
    const candidate = number === 1 ? name : `${stem} (${number})${suffix ?? ""}`;
    if (!(await has(folder, candidate))) return folder.getFileHandle(candidate, { create: true });
  }
  throw new TypeError("no free name");
}

/**
 * @param {any} folder
 * @param {string} name
 */
async function has(folder, name) {
  try {
    return Boolean(await folder.getFileHandle(name));
  } catch (error) {
    const reason = /** @type {any} */ (error)?.name;
    if (reason === "NotFoundError") return false;
    if (reason === "TypeMismatchError") return true; // a folder
    throw error;
  }
}

/**
 * The browser writes to a file beside it, and replaces it when that is closed.
 * @param {any} handle
 * @returns {Promise<Target>}
 */
async function diskTarget(handle) {
  const writable = await handle.createWritable();
  return {
    write: (piece) => writable.write(piece),
    close: () => writable.close(),
    async abort() {
      await writable.abort();
      if (!(await handle.getFile()).size) await handle.remove(); // picking it created it
    },
  };
}

/**
 * @param {string} name
 * @returns {Target}
 */
function heldTarget(name) {
  /** @type {Blob[]} */
  const pieces = [];
  return {
    async write(piece) {
      pieces.push(new Blob([piece]));
    },
    async close() {
      download(new Blob(pieces), name);
    },
    async abort() {
      pieces.length = 0;
    },
  };
}

/**
 * Write all pieces, and give the target its name; leave nothing of it after an error.
 * @param {AsyncIterable<Bytes>} pieces
 * @param {Target} target
 * @param {Transfer} transfer
 */
export async function pour(pieces, target, transfer) {
  try {
    for await (const piece of pieces) await Promise.race([target.write(piece), transfer.stopped]);
    await Promise.race([target.close(), transfer.stopped]);
  } catch (error) {
    await target.abort().catch(() => {});
    throw error;
  }
}
