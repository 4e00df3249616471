// @ts-check
/** Keeps the screen on during a transfer, where the browser can: a device that falls asleep ends it. */

/**
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function keepAwake(work) {
  /** @type {WakeLockSentinel | undefined} */
  let lock;
  let isOver = false;
  const request = async () => {
    if (document.visibilityState !== "visible") return;
    lock = await navigator.wakeLock?.request("screen").catch(() => undefined); // such as without power
    if (isOver) lock?.release();
  };
  request();
  document.addEventListener("visibilitychange", request); // a hidden page loses it
  try {
    return await work();
  } finally {
    isOver = true;
    document.removeEventListener("visibilitychange", request);
    lock?.release();
  }
}
