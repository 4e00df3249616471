// @ts-check
/** What became of a secret, in words and kept up to date while somebody looks. */

/** @typedef {import("./i18n.js").Words} Words */

// Quick while the sender waits with the phone in hand, then sparing: 600 looks an hour are all an address has.
const PAUSES = [[60_000, 4_000], [600_000, 10_000], [Infinity, 30_000]];

/**
 * @param {any} receipt as the API gives it
 * @returns {(words: Words) => string}
 */
export function fate({ state, views, expiresAt, events }) {
  const at = events.filter((/** @type {any} */ each) => each.type === state).pop()?.at ?? expiresAt;
  const key = state === "active" && views ? "state.activeSome"
    : state === "expired" && views ? "state.expiredRead" : `state.${state}`;
  return (words) => words.t(key, { count: views, at: words.when(at), until: words.when(expiresAt) });
}

/**
 * Ask again and again, while the page is looked at and until the secret has ended.
 * @param {() => Promise<any>} ask resolves to a receipt
 * @param {(receipt: any) => void} show
 * @param {(error: any) => void} trouble
 * @returns {{ now: () => Promise<void>, stop: () => void }}
 */
export function watch(ask, show, trouble) {
  const since = Date.now();
  let timer = 0;
  let stopped = false;
  const now = async () => {
    clearTimeout(timer);
    if (stopped) return;
    let ended = false;
    try {
      const receipt = await ask();
      ended = receipt.state !== "active";
      if (!stopped) show(receipt);
    } catch (error) {
      ended = /** @type {any} */ (error)?.code === "not_found";
      if (!stopped) trouble(error);
    }
    if (ended) stop();
    clearTimeout(timer);
    if (!stopped && !document.hidden) timer = setTimeout(now, pause(Date.now() - since));
  };
  const onVisible = () => (document.hidden ? clearTimeout(timer) : now());
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisible);
  };
  document.addEventListener("visibilitychange", onVisible);
  now();
  return { now, stop };
}

/** @param {number} elapsed ms */
function pause(elapsed) {
  return (PAUSES.find(([until]) => elapsed < until) ?? PAUSES[2])[1];
}
