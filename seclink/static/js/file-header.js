// @ts-check
/**
 * The members `files` and `stream` of an envelope's header: which files belong to a secret, and the key of their stream.
 *
 *     {"type": "text", "size", "files": [{"name", "folder"?, "mediaType", "size"}, ...], "stream": {"key", "size"}}
 *
 * Tested with the same vector files as seclink/format/file_header.py, which has the rules in words.
 */

import { fromAnyBase64, toBase64url } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {{name: string, folder?: string, mediaType: string, size: number}} FileEntry */
/** @typedef {{files: FileEntry[], key: Bytes, size: number}} FileHeader */

const MAX_FILES = 100;

/** @param {object} header */
export function namesFiles(header) {
  return "files" in header || "stream" in header;
}

/**
 * Return the files that a header names. Throws TypeError if its members are not as the format has them.
 * @param {any} header
 * @returns {FileHeader}
 */
export function readFileHeader({ type, files, stream }) {
  const key = keyOf(stream.key);
  const size = files.reduce((/** @type {number} */ sum, /** @type {any} */ file) => sum + file.size, 0);
  const isWhole = type === "text" && Array.isArray(files) && files.length >= 1 && files.length <= MAX_FILES
    && files.every(isFile) && isSize(stream.size) && size === stream.size;
  if (!isWhole) throw new TypeError("files");
  return { files, key, size };
}

/** @param {any} file */
function isFile(file) {
  return typeof file.name === "string" && typeof file.mediaType === "string" && isSize(file.size)
    && (!("folder" in file) || isFolder(file.folder));
}

/**
 * Return whether this is a relative path without backslashes and without an empty, `.` or `..` component.
 * @param {unknown} folder
 */
function isFolder(folder) {
  return typeof folder === "string" && !folder.includes("\\")
    && folder.split("/").every((part) => !["", ".", ".."].includes(part));
}

/** @param {unknown} size */
function isSize(size) {
  return Number.isSafeInteger(size) && Number(size) >= 0;
}

/** @param {string} text */
function keyOf(text) {
  const key = fromAnyBase64(text);
  if (key.length !== 32 || toBase64url(key) !== text) throw new TypeError("key");
  return key;
}
