// @ts-check
/** Random texts for passcodes and passwords. */

const CLASSES = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "!#$%&*+=?@"];
const LOOK_ALIKES = /[0Oo1Il]/g;

/**
 * Draw items independently, each with the same chance.
 * @param {ArrayLike<string>} items
 * @param {number} count
 */
export function draw(items, count) {
  return Array.from({ length: count }, () => items[randomBelow(items.length)]);
}

/**
 * Draw a password that has a character of each class: small and capital letters, digits and, with `symbols`, signs.
 * @param {number} length
 * @param {{symbols: boolean, lookAlikes: boolean}} options `lookAlikes`: allow 0 beside O, 1 beside l
 */
export function drawPassword(length, { symbols, lookAlikes }) {
  const classes = CLASSES.slice(0, symbols ? 4 : 3).map((all) => lookAlikes ? all : all.replace(LOOK_ALIKES, ""));
  const characters = classes.join("");
  for (;;) {
    const password = draw(characters, length);
    if (classes.every((all) => password.some((character) => all.includes(character)))) return password.join("");
  }
}

/** Return a number below `limit`, without the bias of a remainder. @param {number} limit */
function randomBelow(limit) {
  const max = Math.floor(2 ** 32 / limit) * limit;
  for (;;) {
    const [number] = crypto.getRandomValues(new Uint32Array(1));
    if (number < max) return number % limit;
  }
}
