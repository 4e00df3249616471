// @ts-check
/** Lets the browser ask before the page is left while leaving would lose something. */

/** @param {boolean} isNeeded */
export function confirmLeaving(isNeeded) {
  if (isNeeded) addEventListener("beforeunload", ask);
  else removeEventListener("beforeunload", ask);
}

/** @param {BeforeUnloadEvent} event */
function ask(event) {
  event.preventDefault();
  event.returnValue = true; // for browsers before 2024
}
