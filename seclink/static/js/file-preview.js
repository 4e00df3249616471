// @ts-check
/**
 * Shows a small image or text of a secret's files. The browser is never told to display a file: an image is recognised by
 * its first bytes, decoded, and drawn; everything else is text or is not shown.
 */

import { fromUtf8 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const NAMES = /\.(png|jpe?g|webp|gif|txt|md|csv|log|json|ya?ml|toml|ini|conf|env|pem|pub|key|crt)$/i;
const MAX_BYTES = 32 * 2 ** 20;
const MAX_TEXT_BYTES = 256 * 2 ** 10;
const MAX_PIXELS = 50e6; // of what is decoded: a small file can hold an image that fills the memory
const MAX_SIDE = 2048; // of what is drawn
const JPEG_MARKS = 0xff;
const GIF_FRAME = 0x2c;
const GIF_EXTENSION = 0x21;

/**
 * Return whether a file may be one that can be shown. Only its bytes can tell.
 * @param {string} path
 * @param {number} size bytes
 */
export function isShowable(path, size) {
  return size > 0 && size <= MAX_BYTES && NAMES.test(path);
}

/**
 * Return an element that shows a file, null if that cannot be done.
 * @param {string} path
 * @param {Bytes} bytes
 * @returns {Promise<HTMLElement | null>}
 */
export async function preview(path, bytes) {
  const image = imageOf(bytes);
  try {
    return image ? await drawn(path, bytes, image) : shown(path, bytes);
  } catch {
    return null;
  }
}

/**
 * @param {string} path
 * @param {Bytes} bytes
 * @param {{type: string, width: number, height: number}} image
 */
async function drawn(path, bytes, { type, width, height }) {
  if (!(width * height > 0 && width * height <= MAX_PIXELS)) return null;
  const bitmap = await createImageBitmap(new Blob([bytes], { type }));
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", path);
  return canvas;
}

/**
 * @param {string} path
 * @param {Bytes} bytes
 */
function shown(path, bytes) {
  if (bytes.length > MAX_TEXT_BYTES || bytes.includes(0)) return null;
  const region = Object.assign(document.createElement("pre"), { className: "secret", tabIndex: 0, dir: "auto", translate: false });
  region.textContent = fromUtf8(bytes);
  region.setAttribute("role", "region");
  region.setAttribute("aria-label", path);
  return region;
}

/**
 * Return what kind of image it is by its first bytes, and how large; null if it is none of the four that are shown.
 * @param {Bytes} bytes
 * @returns {{type: string, width: number, height: number} | null}
 */
function imageOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  try {
    if (start.startsWith("\x89PNG\r\n\x1a\n")) return { type: "image/png", ...pngSize(view, start.slice(12)) };
    if (/^GIF8[79]a/.test(start)) return { type: "image/gif", ...gifSize(view) };
    if (/^RIFF....WEBPVP8/s.test(start)) return { type: "image/webp", ...webpSize(view, start[15]) };
    if (start.startsWith("\xff\xd8\xff")) return { type: "image/jpeg", ...jpegSize(view) };
  } catch {
    return { type: "", width: 0, height: 0 }; // it ends too early
  }
  return null;
}

/**
 * @param {DataView} view
 * @param {string} kind lossy, `L`ossless or `X` for extended
 */
function webpSize(view, kind) {
  if (kind === "X") return { width: 1 + (view.getUint32(24, true) & 0xffffff), height: 1 + (view.getUint32(26, true) >>> 8) };
  if (kind !== "L") return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  const bits = view.getUint32(21, true);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
}

/**
 * @param {DataView} view
 * @param {string} chunk the name of the first
 */
function pngSize(view, chunk) {
  if (chunk !== "IHDR") throw new TypeError("no size"); // some browsers go on to a later one
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** Return what holds the screen and the first frame, which can be larger. @param {DataView} view */
function gifSize(view) {
  const flags = view.getUint8(10);
  let at = 13 + (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0); // behind the table of colours
  for (; view.getUint8(at) === GIF_EXTENSION; at += 1) {
    for (at += 2; view.getUint8(at); at += 1 + view.getUint8(at));
  }
  if (view.getUint8(at) !== GIF_FRAME) throw new TypeError("no frame");
  const [left, top, width, height] = [1, 3, 5, 7].map((offset) => view.getUint16(at + offset, true));
  return { width: Math.max(view.getUint16(6, true), left + width), height: Math.max(view.getUint16(8, true), top + height) };
}

/** Go through the segments until one has the size, whichever kind of coding it is for. @param {DataView} view */
function jpegSize(view) {
  for (let at = 2; view.getUint8(at) === JPEG_MARKS; ) {
    while (view.getUint8(at + 1) === JPEG_MARKS) at += 1;
    const kind = view.getUint8(at + 1);
    if (kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind)) {
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    }
    const hasLength = kind !== 0x01 && !(kind >= 0xd0 && kind <= 0xd9);
    at += 2 + (hasLength ? view.getUint16(at + 2) : 0);
  }
  throw new TypeError("no size");
}
