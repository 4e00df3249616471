// @ts-check
/** Stub until file-name.js is there. */

/** @typedef {import("./file-header.js").FileEntry} FileEntry */

/** @param {FileEntry[]} files @returns {string[]} */
export function savedNames(files) {
  return files.map(({ name, folder }) => [...(folder ? folder.split("/") : []), name.replace(/[/\\]/g, "_") || "file"].join("/"));
}
