// @ts-check
/** Files that are chosen, dropped or pasted anywhere on the start page. */

import { $, field } from "./ui.js";

/** @typedef {{entry: FileSystemEntry | null, file: File | null}} Taken a folder has only its entry */

/**
 * Call `listener` with what was chosen, dropped or pasted.
 * @param {(taken: Taken[]) => void} listener
 */
export function onFiles(listener) {
  const input = field("file-input");
  $("choose-files").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    listener([...input.files ?? []].map((file) => ({ entry: null, file })));
    input.value = ""; // or the same file could not be chosen again
  });
  addEventListener("dragover", (event) => {
    if (isOfFiles(event.dataTransfer)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!isOfFiles(event.dataTransfer)) return;
    event.preventDefault(); // or the browser leaves the page and opens the file
    listener(filesOf(event.dataTransfer));
  });
  addEventListener("paste", (event) => {
    // Office programs put a picture of the text beside it.
    if (!isOfFiles(event.clipboardData) || event.clipboardData?.types.includes("text/html")) return;
    event.preventDefault();
    listener(filesOf(event.clipboardData));
  });
}

/** @param {DataTransfer | null} transfer */
function isOfFiles(transfer) {
  return Boolean(transfer?.types.includes("Files")) && !$("compose").hidden;
}

/** Take them at once: they are gone after the event. @param {DataTransfer | null} transfer */
function filesOf(transfer) {
  return [...transfer?.items ?? []].filter(({ kind }) => kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile() }));
}
