// @ts-check
/** The state of a secret as a text, and polling for it while the page is visible. */

/** @typedef {import("./i18n.js").Locale} Locale */

// Fast while the sender waits for the reader, slower later: the server allows 600 peeks an hour per address.
const INTERVALS_MS = [[60_000, 4_000], [600_000, 10_000], [Infinity, 30_000]];

/**
 * @param {any} receipt as the API returns it
 * @returns {(locale: Locale) => string}
 */
export function stateText({ state, views, expiresAt, events, files }) {
  const at = events.filter((/** @type {any} */ { type }) => type === state).pop()?.at ?? expiresAt;
  const key = state === "active" && views ? "state.activeSome"
    : state === "expired" && views ? "state.expiredRead" : `state.${state}`;
  return (locale) => {
    const text = locale.t(key, { count: views, at: locale.dateTime(at), until: locale.dateTime(expiresAt) });
    if (state === "active") return text;
    return `${text} ${files?.grants ? filesLeftText(files)(locale) : locale.t("state.nothingLeft")}`;
  };
}

/**
 * @param {any} files of a receipt
 * @returns {(locale: Locale) => string} until when readers can download them
 */
export function filesLeftText({ grantsUntil }) {
  return (locale) => locale.t("state.filesLeft", { until: locale.dateTime(grantsUntil) });
}

/** Return whether there is something left to burn. @param {any} receipt */
export function isLeft({ state, files }) {
  return state === "active" || files?.grants > 0;
}

/**
 * Load the receipt now and again, while the page is visible and until nothing is left of the secret.
 * @param {() => Promise<any>} load resolves to a receipt
 * @param {(receipt: any) => void} onReceipt
 * @param {(error: any) => void} onError
 * @returns {{ now: () => Promise<void>, stop: () => void }}
 */
export function pollReceipt(load, onReceipt, onError) {
  const startedAt = Date.now();
  let timer = 0;
  let isStopped = false;
  const now = async () => {
    clearTimeout(timer);
    if (isStopped) return;
    let hasEnded = false;
    try {
      const receipt = await load();
      hasEnded = !isLeft(receipt);
      if (!isStopped) onReceipt(receipt);
    } catch (error) {
      hasEnded = /** @type {any} */ (error)?.code === "not_found";
      if (!isStopped) onError(error);
    }
    if (hasEnded) stop();
    clearTimeout(timer);
    if (!isStopped && !document.hidden) timer = setTimeout(now, intervalMs(Date.now() - startedAt));
  };
  const onVisible = () => (document.hidden ? clearTimeout(timer) : now());
  const stop = () => {
    isStopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisible);
  };
  document.addEventListener("visibilitychange", onVisible);
  now();
  return { now, stop };
}

/** @param {number} elapsed ms */
function intervalMs(elapsed) {
  return (INTERVALS_MS.find(([until]) => elapsed < until) ?? INTERVALS_MS[2])[1];
}
