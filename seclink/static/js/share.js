// @ts-check
/** Ways to share a link: a message to paste, a QR code, a printed sheet. All are made in the browser. */

/** @typedef {import("./i18n.js").Locale} Locale */
/** @typedef {{ link: string, expiresAt: number, maxViews: number | null, passcode: string | null }} Shared */

const SVG = "http://www.w3.org/2000/svg";
const QUIET_ZONE = 4; // light modules that scanners need around the code

/**
 * Return a message with the link, in the reader's language.
 * @param {Locale} locale
 * @param {Shared} shared
 */
export function shareMessage(locale, { link, expiresAt, maxViews, passcode }) {
  return locale.t("message.text", {
    link,
    views: maxViews === null ? locale.t("message.viewsAny") : locale.t("message.views", { count: maxViews }),
    until: locale.dateTime(expiresAt),
    passcode: passcode ? locale.t("message.passcode") : "",
  });
}

/** Load what draws QR codes. Rejects without a network, or if the server has newer pages. */
export async function loadQrCodes() {
  return import("./qr.js");
}

/**
 * Draw the link as a QR code, dark on white in every theme.
 * @param {string} link
 * @returns {Promise<SVGElement>}
 */
export async function qrCode(link) {
  const { qr } = await loadQrCodes();
  const rows = qr(link);
  const square = (/** @type {boolean} */ dark, /** @type {number} */ x, /** @type {number} */ y) =>
    dark ? `M${x + QUIET_ZONE} ${y + QUIET_ZONE}h1v1h-1z` : "";
  const path = rows.flatMap((row, y) => row.map((dark, x) => square(dark, x, y))).join("");
  const size = rows.length + 2 * QUIET_ZONE;
  const svg = element("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "shape-rendering": "crispEdges" });
  svg.append(element("rect", { width: size, height: size, fill: "#fff" }), element("path", { d: path, fill: "#000" }));
  return svg;
}

/**
 * Fill the sheet that is printed instead of the page. The passcode is not on it, since it goes another way.
 * @param {HTMLElement} sheet
 * @param {Locale} locale
 * @param {string} name of the service
 * @param {Shared} shared
 * @param {SVGElement} [code]
 */
export function fillPrintSheet(sheet, locale, name, shared, code) {
  const block = (/** @type {string} */ tag, /** @type {string} */ textContent) =>
    Object.assign(document.createElement(tag), { textContent });
  const lines = shareMessage(locale, shared).split("\n").filter((line) => line && line !== shared.link);
  sheet.replaceChildren(
    block("h1", locale.t("message.title")),
    ...(code ? [code] : []),
    Object.assign(block("code", shared.link), { translate: false }),
    ...lines.slice(1).map((line) => block("p", line)),
    block("p", locale.t("print.how")),
    block("p", name),
  );
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 */
function element(tag, attributes) {
  const created = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, String(value));
  return created;
}
