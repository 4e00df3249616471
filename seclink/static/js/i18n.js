// @ts-check
/**
 * Texts, numbers, dates and durations of one language. The texts are `i18n/{code}.js`, one file per language;
 * plurals, dates and units are the browser's own (`Intl`), so a translation has none of them.
 */

/** @typedef {Record<string, string | Record<string, string>>} Texts */

export class Words {
  /**
   * @param {string} code a language tag, as the file is named
   * @param {Texts} texts
   */
  constructor(code, texts) {
    this.code = code;
    this.texts = texts;
    this.plurals = new Intl.PluralRules(code);
  }

  /**
   * The text of a key with `{name}` replaced by values; `count` also chooses the plural form. A key that is not there
   * stands for itself.
   * @param {string} key
   * @param {Record<string, string | number>} [values]
   */
  t(key, values = {}) {
    let text = this.texts[key] ?? key;
    if (typeof text !== "string") text = text[this.plurals.select(Number(values.count))] ?? text.other;
    return text.replace(/\{(\w+)\}/g, (whole, name) => {
      const value = values[name] ?? whole;
      return typeof value === "number" ? this.number(value) : value;
    });
  }

  /** @param {string} key */
  has(key) {
    return key in this.texts;
  }

  /** @param {number} value */
  number(value) {
    return new Intl.NumberFormat(this.code).format(value);
  }

  /**
   * An instant with its time zone: the reader may be in another one than the sender.
   * @param {number} ms since 1970
   */
  when(ms) {
    return this.moment(ms, { day: "numeric", month: "long", year: "numeric", timeZoneName: "short" });
  }

  /**
   * Hours, minutes and seconds of an instant.
   * @param {number} ms since 1970
   */
  clock(ms) {
    return this.moment(ms, { second: "2-digit" });
  }

  /**
   * @param {number} ms
   * @param {Intl.DateTimeFormatOptions} more
   */
  moment(ms, more) {
    return new Intl.DateTimeFormat(this.code, { hour: "numeric", minute: "2-digit", ...more }).format(ms);
  }

  /**
   * A duration in its largest whole unit: 90 seconds, 10 minutes, 24 hours, 7 days.
   * @param {number} seconds
   */
  span(seconds) {
    /** @type {[string, number][]} */
    const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
    const [unit, size] = units.find(([, each]) => seconds >= 2 * each && seconds % each === 0)
      ?? units.find(([, each]) => seconds % each === 0) ?? ["second", 1];
    return new Intl.NumberFormat(this.code, { style: "unit", unit, unitDisplay: "long" }).format(seconds / size);
  }
}

/**
 * @param {string} code one of the languages the server has
 * @returns {Promise<Words>}
 */
export async function load(code) {
  return new Words(code, (await import(`../i18n/${code}.js`)).default);
}
