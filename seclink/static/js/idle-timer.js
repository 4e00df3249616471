// @ts-check
/** The time since the last activity on a page. Nothing else about the activity is recorded or sent. */

const ACTIVITY = ["pointerdown", "keydown", "scroll"];

/**
 * Call `onTick` now and every second with the seconds that remain until the page was idle for `seconds`.
 * @param {number} seconds
 * @param {(remaining: number) => void} onTick
 * @param {() => boolean} [isBusy] the page is working, which counts as activity
 * @returns {() => void} stops the timer
 */
export function startIdleTimer(seconds, onTick, isBusy = () => false) {
  let lastActiveAt = performance.now();
  const reset = () => (lastActiveAt = performance.now());
  const tick = () => {
    if (isBusy()) reset();
    onTick(seconds - (performance.now() - lastActiveAt) / 1000);
  };
  for (const event of ACTIVITY) addEventListener(event, reset, { passive: true });
  const interval = setInterval(tick, 1000);
  tick();
  return () => {
    clearInterval(interval);
    for (const event of ACTIVITY) removeEventListener(event, reset);
  };
}
