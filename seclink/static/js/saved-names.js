// @ts-check
/** Stub until file-name.js is there. */

/** @typedef {import("./file-header.js").FileEntry} FileEntry */

/** @param {FileEntry[]} files @returns {string[]} */
export function savedNames(files) {
  /** @type {string[]} */
  const names = [];
  for (const { name, folder } of files) {
    const path = [...(folder ? folder.split("/") : []), name.replace(/[/\\]/g, "_") || "file"].join("/");
    names.push(names.includes(path) ? path.replace(/(\.[^.]*)?$/, " (2)$1") : path);
  }
  return names;
}
