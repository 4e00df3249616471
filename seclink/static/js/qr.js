// @ts-check
/**
 * QR Code symbols (ISO/IEC 18004, Model 2), drawn in the browser so that no other service sees the link.
 *
 * Only the part of the standard that links need: byte mode, error correction level M (for a photographed screen), and
 * versions 1 to 10, which hold 14 to 213 bytes. It chooses the smallest version that holds the text, and the mask with
 * the least penalty over the complete symbol. Text is UTF-8 without an ECI header, which readers recognise; links are
 * ASCII. Section, table and annex numbers are those of the edition of 2015.
 *
 * @typedef {boolean[][]} Grid rows of modules; true is dark
 * @typedef {(boolean | null)[][]} Frame the same; null is a module for data
 */

/** @type {[number, number[]][]} by version: correction codewords of each block, then the data codewords (table 9) */
const BLOCKS = [
  [10, [16]], [16, [28]], [26, [44]], [18, [32, 32]], [24, [43, 43]],
  [16, [27, 27, 27, 27]], [18, [31, 31, 31, 31]], [22, [38, 38, 39, 39]],
  [22, [36, 36, 36, 37, 37]], [26, [43, 43, 43, 43, 44]],
];
const BYTE_MODE = 0b0100, LEVEL_M = 0b00;

/** @type {((row: number, column: number) => boolean)[]} where a mask inverts (table 10) */
const MASKS = [
  (i, j) => (i + j) % 2 === 0, (i) => i % 2 === 0, (_, j) => j % 3 === 0, (i, j) => (i + j) % 3 === 0,
  (i, j) => (Math.floor(i / 2) + Math.floor(j / 3)) % 2 === 0,
  (i, j) => (i * j) % 2 + (i * j) % 3 === 0,
  (i, j) => ((i * j) % 2 + (i * j) % 3) % 2 === 0,
  (i, j) => ((i + j) % 2 + (i * j) % 3) % 2 === 0,
];

/**
 * Return the symbol of a text, without the quiet zone of four light modules around it.
 * @param {string} text
 * @returns {Grid} RangeError for more than 213 bytes
 */
export function qr(text) {
  const bytes = [...new TextEncoder().encode(text)];
  const version = BLOCKS.findIndex((_, index) => bytes.length <= capacity(index + 1)) + 1;
  if (version === 0) throw new RangeError("too long for a QR code of version 10");
  const bits = codewords(version, bytes).flatMap((codeword) => toBits(codeword, 8));
  const frame = functionPatterns(version);
  const candidates = MASKS.map((_, mask) => symbol(frame, bits, mask));
  const penalties = candidates.map(penalty);
  return candidates[penalties.indexOf(Math.min(...penalties))];
}

// The codewords (7.4 to 7.6)

/** @param {number} version @returns {number} data codewords of all blocks together */
function dataCodewords(version) {
  return BLOCKS[version - 1][1].reduce((sum, size) => sum + size);
}

/** @param {number} version @returns {number} bytes of text: without mode, count and terminator */
function capacity(version) {
  return dataCodewords(version) - 1 - (version < 10 ? 1 : 2);
}

/** @param {number} value @param {number} count @returns {number[]} the highest bit first */
function toBits(value, count) {
  return Array.from({ length: count }, (_, index) => (value >> (count - 1 - index)) & 1);
}

/** @param {number} version @param {number[]} bytes @returns {number[]} as they are laid out, blocks interleaved */
function codewords(version, bytes) {
  const head = [...toBits(BYTE_MODE, 4), ...toBits(bytes.length, version < 10 ? 8 : 16)];
  const bits = [...head, ...bytes.flatMap((byte) => toBits(byte, 8)), 0, 0, 0, 0]; // the terminator fills the last byte
  const data = Array.from({ length: bits.length / 8 }, (_, at) => parseInt(bits.slice(8 * at, 8 * at + 8).join(""), 2));
  for (let pad = 0xec; data.length < dataCodewords(version); pad ^= 0xec ^ 0x11) data.push(pad);
  const [corrections, sizes] = BLOCKS[version - 1];
  let start = 0;
  const blocks = sizes.map((size) => data.slice(start, (start += size)));
  const divisor = generator(corrections);
  return [...interleaved(blocks), ...interleaved(blocks.map((block) => remainder(block, divisor)))];
}

/** @param {number[][]} blocks @returns {number[]} the first of each, the second of each, ...; the last is a longest */
function interleaved(blocks) {
  const longest = blocks[blocks.length - 1];
  return longest.flatMap((_, at) => blocks.filter((block) => at < block.length).map((block) => block[at]));
}

/** @param {number} a @param {number} b @returns {number} the product in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1 */
function times(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) product = (product << 1) ^ (product >> 7) * 0x11d ^ ((b >> bit) & 1) * a;
  return product;
}

/** @param {number} degree @returns {number[]} (x - 1)(x - 2)(x - 4)... without its leading 1, highest power first */
function generator(degree) {
  let polynomial = [1];
  for (let root = 1, count = 0; count < degree; count++, root = times(root, 2)) {
    polynomial = [...polynomial, 0].map((coefficient, at) => coefficient ^ times(at ? polynomial[at - 1] : 0, root));
  }
  return polynomial.slice(1);
}

/** @param {number[]} block @param {number[]} divisor @returns {number[]} the Reed-Solomon codewords of a block */
function remainder(block, divisor) {
  const rest = divisor.map(() => 0);
  for (const codeword of block) {
    const factor = codeword ^ /** @type {number} */ (rest.shift());
    rest.push(0);
    divisor.forEach((coefficient, at) => (rest[at] ^= times(coefficient, factor)));
  }
  return rest;
}

/** @param {number} value @param {number} divisor @param {number} degree @returns {number} with its BCH code behind */
function protectedBits(value, divisor, degree) {
  let rest = value << degree;
  for (let bit = 31 - Math.clz32(rest); bit >= degree; bit--) if ((rest >> bit) & 1) rest ^= divisor << (bit - degree);
  return (value << degree) | rest;
}

// The modules (7.7 to 7.10)

/** @param {number} version @returns {Frame} all modules but data and format; those of the format are reserved */
function functionPatterns(version) {
  const size = 4 * version + 17;
  const frame = Array.from({ length: size }, () => /** @type {(boolean | null)[]} */ (Array(size).fill(null)));
  for (const [i, j] of [[3, 3], [3, size - 4], [size - 4, 3]]) rings(frame, i, j, [true, true, false, true, false]);
  for (const [i, j] of alignments(version)) if (frame[i][j] === null) rings(frame, i, j, [true, false, true]);
  for (let at = 8; at < size - 8; at++) frame[6][at] = frame[at][6] = at % 2 === 0; // timing
  drawFormat(frame, 0);
  if (version >= 7) drawVersion(frame, version);
  return frame;
}

/** @param {Frame} frame @param {number} row @param {number} column @param {boolean[]} dark by distance from there */
function rings(frame, row, column, dark) {
  frame.forEach((modules, i) => modules.forEach((_, j) => {
    const distance = Math.max(Math.abs(i - row), Math.abs(j - column));
    if (distance < dark.length) modules[j] = dark[distance];
  }));
}

/** @param {number} version @returns {number[][]} centres of alignment patterns (annex E), and of finder patterns */
function alignments(version) {
  const last = 4 * version + 10;
  const lines = version === 1 ? [] : version < 7 ? [6, last] : [6, last / 2 + 3, last];
  return lines.flatMap((row) => lines.map((column) => [row, column]));
}

/** @param {Frame} frame @param {number} mask named with the level, twice, beside the module that is always dark */
function drawFormat(frame, mask) {
  const size = frame.length, bits = protectedBits((LEVEL_M << 3) | mask, 0x537, 10) ^ 0x5412;
  for (let at = 0; at < 15; at++) {
    const dark = ((bits >> at) & 1) === 1;
    if (at < 8) frame[at < 6 ? at : at + 1][8] = frame[8][size - 1 - at] = dark;
    else frame[8][at === 8 ? 7 : 14 - at] = frame[size - 15 + at][8] = dark;
  }
  frame[size - 8][8] = true;
}

/** @param {Frame} frame @param {number} version */
function drawVersion(frame, version) {
  for (let at = 0, bits = protectedBits(version, 0x1f25, 12); at < 18; at++, bits >>= 1) {
    const far = frame.length - 11 + at % 3, near = Math.floor(at / 3);
    frame[far][near] = frame[near][far] = (bits & 1) === 1;
  }
}

/** @param {Frame} frame @param {number[]} bits @param {number} mask @returns {Grid} */
function symbol(frame, bits, mask) {
  const grid = frame.map((row) => [...row]), size = frame.length;
  let next = 0;
  for (let pair = 0; 2 * pair < size - 1; pair++) { // two columns at a time from the right, upwards, downwards, ...
    const right = size - 1 - 2 * pair - (2 * pair >= size - 7 ? 1 : 0); // ... stepping over the timing column
    for (let step = 0; step < size; step++) {
      const row = pair % 2 ? step : size - 1 - step;
      for (const column of [right, right - 1]) {
        if (frame[row][column] === null) grid[row][column] = (bits[next++] === 1) !== MASKS[mask](row, column);
      }
    }
  }
  drawFormat(grid, mask);
  return /** @type {Grid} */ (grid);
}

/** @param {Grid} grid @returns {number} how hard it is to read (table 11): runs, false finders, squares, imbalance */
function penalty(grid) {
  const rows = grid.map((row) => row.map(Number)), size = rows.length;
  let total = 0, dark = 0;
  for (const line of [...rows, ...rows.map((_, at) => rows.map((row) => row[at]))].map((modules) => modules.join(""))) {
    for (const run of line.match(/0{5,}|1{5,}/g) ?? []) total += run.length - 2;
    const wide = `0000${line}0000`; // the quiet zone is light
    for (let at = wide.indexOf("1011101"); at >= 0; at = wide.indexOf("1011101", at + 1)) {
      if (wide.startsWith("0000", at - 4) || wide.startsWith("0000", at + 7)) total += 40;
    }
  }
  rows.forEach((row, i) => row.forEach((module, j) => {
    dark += module;
    if (i && j && (module + row[j - 1] + rows[i - 1][j] + rows[i - 1][j - 1]) % 4 === 0) total += 3;
  }));
  return total + 10 * Math.floor(Math.abs(20 * dark - 10 * size * size) / (size * size));
}
