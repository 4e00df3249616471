// @ts-check
/** Handing a link on: a message to paste, a code to scan, a sheet to print. All made here; the link goes nowhere. */

/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {{ link: string, expiresAt: number, maxViews: number | null, passcode: string | null }} Shared */

const SVG = "http://www.w3.org/2000/svg";
const QUIET = 4; // modules of white around the code that scanners need

/**
 * What one would write around a link, in the reader's language.
 * @param {Words} words
 * @param {Shared} shared
 */
export function message(words, { link, expiresAt, maxViews, passcode }) {
  return words.t("message.text", {
    link,
    views: maxViews === null ? words.t("message.viewsAny") : words.t("message.views", { count: maxViews }),
    until: words.when(expiresAt),
    passcode: passcode ? words.t("message.passcode") : "",
  });
}

/**
 * The link as a QR code, dark on white in every theme.
 * @param {string} link
 * @returns {Promise<SVGElement>}
 */
export async function code(link) {
  const { qr } = await import("./qr.js");
  const rows = qr(link);
  const square = (/** @type {boolean} */ dark, /** @type {number} */ x, /** @type {number} */ y) =>
    dark ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : "";
  const path = rows.flatMap((row, y) => row.map((dark, x) => square(dark, x, y))).join("");
  const size = rows.length + 2 * QUIET;
  const svg = element("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "shape-rendering": "crispEdges" });
  svg.append(element("rect", { width: size, height: size, fill: "#fff" }), element("path", { d: path, fill: "#000" }));
  return svg;
}

/**
 * The sheet that is printed instead of the page: without the passcode, which goes another way.
 * @param {HTMLElement} sheet
 * @param {Words} words
 * @param {string} name of the service
 * @param {Shared} shared
 * @param {SVGElement} [drawn]
 */
export function fillPrintSheet(sheet, words, name, shared, drawn) {
  const line = (/** @type {string} */ tag, /** @type {string} */ textContent) =>
    Object.assign(document.createElement(tag), { textContent });
  const text = message(words, shared).split("\n").filter((each) => each && each !== shared.link);
  sheet.replaceChildren(
    line("h1", words.t("message.title")),
    ...(drawn ? [drawn] : []),
    line("code", shared.link),
    ...text.slice(1).map((each) => line("p", each)),
    line("p", words.t("print.how")),
    line("p", name),
  );
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 */
function element(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}
