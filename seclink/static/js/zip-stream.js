// @ts-check
/**
 * Writes a zip as a stream: files as they are, not compressed, with names in UTF-8, and zip64 where a file, an offset or
 * a count needs it. The checksum of a file follows it, as it is known only then; the size of the whole is known before.
 */

import { concat, utf8 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {{path: string, size: number, bytes: AsyncIterable<Bytes>}} ZipEntry */
/** @typedef {{name: Bytes, size: number, offset: number, crc: number}} Written */

const FLAGS = 0x0808; // the checksum follows the file; the name is UTF-8
const DATE = 0x0021; // 1 January 1980: a zip cannot say "unknown"
const UNIX_FILE = 0o100600 * 2 ** 16; // a regular file, for its owner alone
const MAX_32 = 0xffffffff;
const MAX_16 = 0xffff;
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * Yield the bytes of the zip. Throws what reading an entry throws.
 * @param {ZipEntry[]} entries
 * @returns {AsyncGenerator<Bytes>}
 */
export async function* zip(entries) {
  /** @type {Written[]} */
  const written = [];
  let offset = 0;
  for (const { path, size, bytes } of entries) {
    const entry = { name: utf8(path), size, offset, crc: 0 };
    const head = localHeader(entry);
    yield head;
    let crc = MAX_32;
    for await (const piece of bytes) {
      crc = updated(crc, piece);
      yield piece;
    }
    entry.crc = ~crc >>> 0;
    const tail = dataDescriptor(entry);
    yield tail;
    offset += head.length + size + tail.length;
    written.push(entry);
  }
  yield directory(written, offset);
}

/**
 * Return the number of bytes that `zip` yields.
 * @param {{path: string, size: number}[]} entries
 */
export function zipSize(entries) {
  let offset = 0;
  const written = entries.map(({ path, size }) => {
    const entry = { name: utf8(path), size, offset, crc: 0 };
    offset += localHeader(entry).length + size + dataDescriptor(entry).length;
    return entry;
  });
  return offset + directory(written, offset).length;
}

/**
 * @param {number} crc
 * @param {Bytes} bytes
 */
function updated(crc, bytes) {
  let value = crc;
  for (let at = 0; at < bytes.length; at += 1) value = CRC_TABLE[(value ^ bytes[at]) & 0xff] ^ (value >>> 8);
  return value;
}

/** @param {Written} entry */
function localHeader({ name, size }) {
  const extra = size >= MAX_32 ? fields([2, 1], [2, 16], [8, size], [8, size]) : new Uint8Array(0);
  const known = Math.min(size, MAX_32);
  return concat(fields([4, 0x04034b50], [2, version(size)], [2, FLAGS], [2, 0], [2, 0], [2, DATE], [4, 0], [4, known],
    [4, known], [2, name.length], [2, extra.length]), name, extra);
}

/** @param {Written} entry */
function dataDescriptor({ size, crc }) {
  const width = size >= MAX_32 ? 8 : 4;
  return fields([4, 0x08074b50], [4, crc], [width, size], [width, size]);
}

/**
 * Return the central directory and what ends the zip.
 * @param {Written[]} entries
 * @param {number} offset
 */
function directory(entries, offset) {
  const rows = concat(...entries.map(directoryRow));
  const end = fields([4, 0x06054b50], [2, 0], [2, 0], [2, Math.min(entries.length, MAX_16)],
    [2, Math.min(entries.length, MAX_16)], [4, Math.min(rows.length, MAX_32)], [4, Math.min(offset, MAX_32)], [2, 0]);
  if (offset < MAX_32 && rows.length < MAX_32 && entries.length < MAX_16) return concat(rows, end);
  const end64 = fields([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, entries.length],
    [8, entries.length], [8, rows.length], [8, offset]);
  return concat(rows, end64, fields([4, 0x07064b50], [4, 0], [8, offset + rows.length], [4, 1]), end);
}

/** @param {Written} entry */
function directoryRow({ name, size, offset, crc }) {
  const large = [...(size >= MAX_32 ? [size, size] : []), ...(offset >= MAX_32 ? [offset] : [])];
  const extra = large.length ? fields([2, 1], [2, 8 * large.length], ...large.map((value) => field(8, value)))
    : new Uint8Array(0);
  const known = Math.min(size, MAX_32);
  const needed = version(Math.max(size, offset));
  return concat(fields([4, 0x02014b50], [1, needed], [1, 3], [2, needed], [2, FLAGS], [2, 0], [2, 0], [2, DATE],
    [4, crc], [4, known], [4, known], [2, name.length], [2, extra.length], [2, 0], [2, 0], [2, 0], [4, UNIX_FILE],
    [4, Math.min(offset, MAX_32)]), name, extra);
}

/** Return the version of the format that is needed. @param {number} largest */
function version(largest) {
  return largest >= MAX_32 ? 45 : 20;
}

/**
 * @param {number} width
 * @param {number} value
 * @returns {[number, number]}
 */
function field(width, value) {
  return [width, value];
}

/**
 * Return numbers in little-endian order.
 * @param {...[width: number, value: number]} values
 */
function fields(...values) {
  const bytes = new Uint8Array(values.reduce((sum, [width]) => sum + width, 0));
  let at = 0;
  for (const [width, value] of values) {
    for (let index = 0, rest = value; index < width; index += 1, rest = Math.floor(rest / 256)) bytes[at + index] = rest % 256;
    at += width;
  }
  return bytes;
}
