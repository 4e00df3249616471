// @ts-check
/**
 * The names under which a reader saves files. Tested with the same vector files as seclink/format/file_name.py, which
 * has the reasons.
 */

import { utf8 } from "./bytes.js";

/** @typedef {{folder: string, name: string}} SavedName folder: a relative path with `/`, empty for none */

const MAX_NAME_BYTES = 200;
const MAX_FOLDER_BYTES = 600;
const NAMELESS = "unnamed";
const MAX_EXTENSION_BYTES = 32;
const LONE_SURROGATE = /\p{Cs}/gu;
const HIDDEN = new RegExp(
  "[\\x00-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b\\u200e\\u200f\\u2028-\\u202e" +
    "\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\u{13430}-\\u{1343f}\\u{1bca0}-\\u{1bca3}" +
    "\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]",
  "gu",
);
const LEADING_DOTS = /^\.+/;
const SEPARATORS = /[<>:"/\\|?*]/g;
const SPACE_OR_JOINER = /[\p{Zs}\u200c\u200d\ufe00-\ufe0f]/u;
const SPACE_OR_DOT = /[\p{Zs}.]/u;
const RESERVED = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\xb9\xb2\xb3]) *(\.|$)/i;

/**
 * Return the name for each file. No two are the same path, also where upper and lower case are not told apart.
 * @param {readonly {name: string, folder?: string}[]} files
 * @returns {SavedName[]}
 */
export function savedNames(files) {
  const folders = files.map(({ folder }) => cleanedFolder(folder ?? ""));
  const used = new Set(folders.flatMap(withParents).map(folded));
  return files.map((file, index) => {
    const folder = folders[index];
    const cleaned = cleanedName(file.name);
    let [name, number] = [cleaned, 1];
    while (used.has(folded(joined(folder, name)))) name = cut(cleaned, ` (${number += 1})`);
    used.add(folded(joined(folder, name)));
    return { folder, name };
  });
}

/**
 * Return a name that every system takes: one component, never empty, and visible, also in lists of files.
 * @param {string} name
 */
export function cleanedName(name) {
  const visible = name.replace(LONE_SURROGATE, "\ufffd").replace(HIDDEN, "").replace(SEPARATORS, "_");
  const cleaned = trimmed(cut(trimmed(visible).replace(LEADING_DOTS, "_")));
  return RESERVED.test(cleaned) ? trimmed(cut(`_${cleaned}`)) : cleaned;
}

/** @param {string} folder */
function cleanedFolder(folder) {
  let path = "";
  for (const part of folder ? folder.split("/") : []) {
    const longer = joined(path, cleanedName(part));
    if (utf8(longer).length > MAX_FOLDER_BYTES) break;
    path = longer;
  }
  return path;
}

/**
 * @param {string} folder
 * @param {string} name
 */
function joined(folder, name) {
  return folder ? `${folder}/${name}` : name;
}

/** @param {string} name */
function trimmed(name) {
  let [start, end] = [0, name.length];
  while (start < end && SPACE_OR_JOINER.test(name[start])) start += 1;
  while (end > start && SPACE_OR_DOT.test(name[end - 1])) end -= 1;
  return name.slice(start, end) || NAMELESS;
}

/**
 * Return a name with a suffix before its extension, short enough: what is cut off is the end of its stem.
 * @param {string} name
 */
function cut(name, suffix = "") {
  const dot = name.lastIndexOf(".");
  const hasExtension = dot > 0 && utf8(name.slice(dot + 1)).length <= MAX_EXTENSION_BYTES;
  const stem = hasExtension ? name.slice(0, dot) : name;
  const end = suffix + name.slice(stem.length);
  const room = new Uint8Array(MAX_NAME_BYTES - utf8(end).length);
  return stem.slice(0, new TextEncoder().encodeInto(stem, room).read) + end;
}

/** @param {string} folder */
function withParents(folder) {
  const parts = folder ? folder.split("/") : [];
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** @param {string} path */
function folded(path) {
  return path.normalize("NFC").toUpperCase().toLowerCase().normalize("NFC");
}
