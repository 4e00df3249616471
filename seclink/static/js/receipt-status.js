// @ts-check
/** The state of a secret as a text, and polling for it while the page is visible. */

/** @typedef {import("./i18n.js").Locale} Locale */

// Fast while the sender waits for the reader, slower later: the server allows 600 peeks an hour per address.
const INTERVALS_MS = [[60_000, 4_000], [600_000, 10_000], [Infinity, 30_000]];

/**
 * @param {any} receipt as the API returns it
 * @returns {(locale: Locale) => string}
 */
export function stateText({ state, views, expiresAt, events }) {
  const at = events.filter((/** @type {any} */ { type }) => type === state).pop()?.at ?? expiresAt;
  const key = state === "active" && views ? "state.activeSome"
    : state === "expired" && views ? "state.expiredRead" : `state.${state}`;
  return (locale) => locale.t(key, { count: views, at: locale.dateTime(at), until: locale.dateTime(expiresAt) });
}

/**
 * Load the receipt now and again, while the page is visible and until the secret has ended.
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
      hasEnded = receipt.state !== "active";
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
