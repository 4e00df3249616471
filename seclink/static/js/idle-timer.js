// @ts-check
/**
 * How long a page was left alone. Whatever stirs on it counts as somebody being there; nothing of it is kept or sent.
 */

const STIRRING = ["pointerdown", "keydown", "scroll"];

/**
 * Tell now and every second how many seconds are left until the page was left alone for so many.
 * @param {number} seconds
 * @param {(left: number) => void} tell
 * @returns {() => void} stops it
 */
export function startIdleTimer(seconds, tell) {
  let since = performance.now();
  const stir = () => (since = performance.now());
  const tick = () => tell(seconds - (performance.now() - since) / 1000);
  for (const each of STIRRING) addEventListener(each, stir, { passive: true });
  const ticking = setInterval(tick, 1000);
  tick();
  return () => {
    clearInterval(ticking);
    for (const each of STIRRING) removeEventListener(each, stir);
  };
}
