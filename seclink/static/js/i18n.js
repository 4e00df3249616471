// @ts-check
/**
 * Texts, numbers, dates and durations of one language. The texts are in `i18n/{code}.js`, one file per language, of which
 * the server makes `i18n/{page}/{code}.js` with those that a page needs.
 * Plural rules, dates and units come from the browser (`Intl`), so a translation has none of them.
 */

/** @typedef {Record<string, string | Record<string, string>>} Texts */

export class Locale {
  /**
   * @param {string} code a language tag, as in the name of its file
   * @param {Texts} texts
   */
  constructor(code, texts) {
    this.code = code;
    this.texts = texts;
    this.plurals = new Intl.PluralRules(code);
    this.region = navigator.languages.find((tag) => tag.split("-")[0] === code) ?? code;
  }

  /**
   * Return the text of a key, with `{name}` replaced by values; `count` also chooses the plural form, or the
   * one of a number, such as "2": "twice". The text of an unknown key is the key.
   * @param {string} key
   * @param {Record<string, string | number>} [values]
   */
  t(key, values = {}) {
    let text = this.texts[key] ?? key;
    if (typeof text !== "string") {
      const count = Number(values.count);
      text = text[count] ?? text[this.plurals.select(count)] ?? text.other;
    }
    return text.replace(/\{(\w+)\}/g, (placeholder, name) => {
      const value = values[name] ?? placeholder;
      return typeof value === "number" ? this.number(value) : value;
    });
  }

  /** @param {string} key */
  has(key) {
    return key in this.texts;
  }

  /**
   * Format a number of bytes in the largest unit that it fills: 900 bytes, 1.5 MB.
   * @param {number} bytes
   */
  size(bytes) {
    const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
    const power = Math.min(units.length - 1, Math.floor(Math.max(0, String(Math.round(bytes)).length - 1) / 3));
    const options = { style: "unit", unit: units[power], unitDisplay: power ? "short" : "long", maximumFractionDigits: power > 1 ? 1 : 0 };
    return new Intl.NumberFormat(this.region, /** @type {any} */ (options)).format(bytes / 1000 ** power);
  }

  /** @param {number} value */
  number(value) {
    return new Intl.NumberFormat(this.region).format(value);
  }

  /**
   * Format an instant with its time zone: sender and reader may be in different ones.
   * @param {number} ms since 1970
   */
  dateTime(ms) {
    return this.format(ms, { day: "numeric", month: "long", year: "numeric", timeZoneName: "short" });
  }

  /**
   * Format the hours, minutes and seconds of an instant.
   * @param {number} ms since 1970
   */
  time(ms) {
    return this.format(ms, { second: "2-digit" });
  }

  /**
   * @param {number} ms
   * @param {Intl.DateTimeFormatOptions} options
   */
  format(ms, options) {
    return new Intl.DateTimeFormat(this.region, { hour: "numeric", minute: "2-digit", ...options }).format(ms);
  }

  /**
   * Format a duration in its largest whole unit: 90 seconds, 1 hour, 7 days.
   * @param {number} seconds
   */
  duration(seconds) {
    /** @type {[string, number][]} */
    const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
    const [unit, size] = units.find(([, size]) => seconds >= size && seconds % size === 0) ?? ["second", 1];
    return new Intl.NumberFormat(this.region, { style: "unit", unit, unitDisplay: "long" }).format(seconds / size);
  }
}

/**
 * @param {string} code one of the server's languages
 * @returns {Promise<Locale>}
 */
export async function loadLocale(code) {
  /** @type {HTMLLinkElement | null} */
  const preload = document.querySelector('link[href*="/i18n/"]'); // the page's texts in its first language
  const url = preload?.href.replace(/[^/]*$/, `${code}.js`);
  return new Locale(code, (await import(url ?? "")).default);
}
