// @ts-check
/**
 * The key of the page's own link. It leaves the address bar, and with it the browser's history, as soon as it is read,
 * and stays in the state of this entry of the tab: a reload and a return have it, another tab or program has not.
 */

let shownHash = keptHash();

/** Return the fragment of the page's URL, also once it has left the address bar; "" if it has none. */
export function keptHash() {
  return location.hash || (history.state?.hash ?? "");
}

/** Return the parts of the page's URL with that fragment. */
export function ownUrl() {
  const { origin, pathname, search } = location;
  return { origin, pathname, search, hash: keptHash() };
}

/**
 * Take the key out of the address bar and keep it.
 * @param {{url: string, isExposed: boolean}} link without its key
 * @param {string} key
 */
export function keepKey({ url, isExposed }, key) {
  const lang = new URLSearchParams(location.search).get("lang");
  const state = { ...history.state, hash: `#${key}`, ...(isExposed ? { isExposed } : {}) };
  replaceAddress(`${url}${lang ? `?${new URLSearchParams({ lang })}` : ""}`, state);
}

/**
 * Replace the URL in the address bar and what is kept with it.
 * @param {string} url
 * @param {any} state
 */
export function replaceAddress(url, state) {
  // Chromium's history no longer lists a URL that redirects, but goes on listing one that is only replaced.
  if (location.hash) location.replace("#");
  history.replaceState(state, "", url);
  shownHash = keptHash();
}

/**
 * Call `listener` when the tab has another link: browsers do not load the page for another fragment.
 * @param {() => void} listener
 */
export function onOtherLink(listener) {
  const compare = () => {
    if (keptHash() === shownHash) return;
    shownHash = keptHash();
    listener();
  };
  // Later, because `replaceAddress` itself fires both, one of them in its midst.
  for (const type of ["hashchange", "popstate"]) addEventListener(type, () => queueMicrotask(compare));
}
