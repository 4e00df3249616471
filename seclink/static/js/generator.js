// @ts-check
/** Draws passcodes, and passwords for the field of the secret. Loaded once one of them is wanted. */

import { $, errorText, field, select } from "./ui.js";
import { loadWords } from "./word-lists.js";

/** @typedef {import("./ui.js").Page} Page */

const [PASSCODE_WORDS, PASSCODE_DIGITS] = [4, 6];
const DIGITS = "0123456789";
const CLASSES = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", DIGITS, "!#$%&*+=?@"];
const LOOK_ALIKES = /[0Oo1Il]/g;

/** @type {Record<string, {min: number, usual: number, max: number}>} lengths by kind of password */
const LENGTHS = {
  symbols: { min: 8, usual: 20, max: 64 },
  letters: { min: 8, usual: 20, max: 64 },
  words: { min: 4, usual: 6, max: 12 },
};

/**
 * Load what a kind needs, while there is a network.
 * @param {string} kind
 * @param {string} language
 */
export async function prepare(kind, language) {
  if (kind === "words") await loadWords(language);
}

/**
 * @param {string} kind `words` or `digits`
 * @param {string} language of the words
 */
export async function drawPasscode(kind, language) {
  return kind === "digits"
    ? draw(DIGITS, PASSCODE_DIGITS).join("")
    : draw(await loadWords(language), PASSCODE_WORDS).join("-");
}

/**
 * Draw a password with at least one character of each class: small and capital letters, digits and, with `symbols`,
 * signs.
 * @param {number} length
 * @param {{symbols: boolean, lookAlikes: boolean}} options `lookAlikes`: allow 0 beside O, and 1 beside l
 */
export function drawPassword(length, { symbols, lookAlikes }) {
  const classes = CLASSES.slice(0, symbols ? 4 : 3).map((all) => lookAlikes ? all : all.replace(LOOK_ALIKES, ""));
  for (;;) {
    const password = draw(classes.join(""), length);
    if (classes.every((all) => password.some((character) => all.includes(character)))) return password.join("");
  }
}

/** Set up the panel beside the secret's field. @param {Page} page */
export function setUpGenerator(page) {
  const prepareWords = () => prepare(select("generator-kind").value, page.locale.code).catch(() => {}); // said on press
  page.onLanguage(prepareWords);
  select("generator-kind").addEventListener("change", () => {
    showKind();
    prepareWords();
  });
  $("generate").addEventListener("click", async () => {
    try {
      insert(await passwordOf(page));
      page.setText($("generated"), "generator.inserted");
    } catch (error) {
      page.setText($("generated"), errorText(error));
    }
  });
}

/** Offer the lengths of the chosen kind. */
function showKind() {
  const kind = select("generator-kind").value;
  const { min, usual, max } = LENGTHS[kind];
  Object.assign(field("generator-length"), { min, max, value: usual });
  $("generator-plain").hidden = kind === "words";
}

/** @param {Page} page */
async function passwordOf({ locale }) {
  const kind = select("generator-kind").value;
  const { min, usual, max } = LENGTHS[kind];
  const length = Math.min(Math.max(Math.trunc(field("generator-length").valueAsNumber || usual), min), max);
  field("generator-length").value = String(length);
  if (kind === "words") return draw(await loadWords(locale.code), length).join("-");
  return drawPassword(length, { symbols: kind === "symbols", lookAlikes: !field("no-look-alikes").checked });
}

/** Put the text where the cursor is, selected, so that another one replaces it. @param {string} text */
function insert(text) {
  const secret = field("secret");
  secret.setRangeText(text, secret.selectionStart ?? 0, secret.selectionEnd ?? 0, "select");
  secret.dispatchEvent(new Event("input", { bubbles: true }));
}

/**
 * Draw items independently, each with the same chance.
 * @param {ArrayLike<string>} items
 * @param {number} count
 */
function draw(items, count) {
  return Array.from({ length: count }, () => items[randomBelow(items.length)]);
}

/** Return a number below `limit`, without the bias of a remainder. @param {number} limit */
function randomBelow(limit) {
  const max = Math.floor(2 ** 32 / limit) * limit;
  for (;;) {
    const [number] = crypto.getRandomValues(new Uint32Array(1));
    if (number < max) return number % limit;
  }
}
