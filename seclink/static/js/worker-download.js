// @ts-check
/**
 * A download that the page feeds through a service worker of its own (download-worker.js), one piece whenever the browser
 * asks for one. Works for any size, in browsers whose pages cannot write to the disk.
 */

import { ApiError } from "./api-error.js";
import { SERVER_URL } from "./api.js";
import { toHex } from "./bytes.js";
import { randomBytes } from "./link.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./save-targets.js").Target} Target */

const PING_MS = 5000; // Firefox ends a worker 30 seconds after its last event, and takes what it has for the whole file
const WORKER_URL = new URL("download-worker.js", import.meta.url).href;
const FOLDER_URL = `${SERVER_URL}/dl/`;
const browser = /** @type {any} */ (globalThis);

// The pages' policy lets nothing but this name a script.
const policy = browser.trustedTypes?.createPolicy("seclink-worker", {
  createScriptURL(/** @type {string} */ url) {
    if (url !== WORKER_URL) throw new TypeError("not the worker of downloads");
    return url;
  },
});

export function hasWorkers() {
  return Boolean(navigator.serviceWorker && navigator.locks);
}

/**
 * Begin a download.
 * @param {string} name
 * @param {number} size bytes
 * @returns {Promise<Target>}
 */
export async function workerTarget(name, size) {
  const scope = `${FOLDER_URL}${toHex(randomBytes(16))}/`;
  const file = `${scope}file`;
  const letGo = await hold(`${file}#page`);
  try {
    const url = policy ? policy.createScriptURL(WORKER_URL) : WORKER_URL;
    const registration = await navigator.serviceWorker.register(url, { scope });
    return await targetOf(registration, file, { name, size }, letGo);
  } catch (error) {
    letGo();
    throw error;
  }
}

/**
 * @param {ServiceWorkerRegistration} registration
 * @param {string} url
 * @param {{name: string, size: number}} file
 * @param {() => void} letGo
 * @returns {Promise<Target>}
 */
async function targetOf(registration, url, file, letGo) {
  const worker = await activated(registration);
  const { port1, port2 } = new MessageChannel();
  const feed = new Feed(port1);
  const ping = setInterval(() => worker.postMessage("ping"), PING_MS);
  const end = () => {
    clearInterval(ping);
    port1.close();
    letGo();
  };
  worker.postMessage({ url, ...file }, [port2]);
  await feed.next("announced");
  navigator.locks.request(`${url}#worker`, () => feed.add("lost")).then(() => registration.unregister());
  // Without the attribute `download`, which would have the browser ask the server and not the worker.
  Object.assign(document.createElement("a"), { href: url }).click();
  await feed.next("started");
  return {
    async write(piece) {
      await feed.next("pull");
      const copy = piece.slice(); // it is moved to the worker
      port1.postMessage({ piece: copy }, [copy.buffer]);
    },
    async close() {
      await feed.next("pull");
      port1.postMessage({ isEnd: true });
      await feed.next("ended");
      end();
    },
    async abort() {
      port1.postMessage({});
      end();
    },
  };
}

/**
 * Hold a lock until the returned function is called or the page is gone.
 * @param {string} name
 * @returns {Promise<() => void>}
 */
function hold(name) {
  return new Promise((resolve) => {
    navigator.locks.request(name, () => new Promise((letGo) => resolve(() => letGo(undefined))));
  });
}

/** Receives what the worker says, in its order. */
class Feed {
  /** @param {MessagePort} port */
  constructor(port) {
    /** @type {string[]} */
    this.messages = [];
    this.wake = () => {};
    port.onmessage = ({ data }) => this.add(data);
  }

  /** @param {string} message */
  add(message) {
    this.messages.push(message);
    this.wake();
  }

  /**
   * Wait for a message. Throws ApiError `stopped` if the browser's download was cancelled, `cut` if the worker is gone.
   * @param {string} expected
   */
  async next(expected) {
    while (!this.messages.length) await new Promise((resolve) => (this.wake = () => resolve(null)));
    const message = this.messages.shift();
    if (message !== expected) throw new ApiError(message === "lost" ? "cut" : "stopped");
  }
}

/**
 * Wait until the worker is active.
 * @param {ServiceWorkerRegistration} registration
 * @returns {Promise<ServiceWorker>}
 */
async function activated(registration) {
  const worker = /** @type {ServiceWorker} */ (registration.installing ?? registration.waiting ?? registration.active);
  while (worker.state !== "activated") {
    if (worker.state === "redundant") throw new ApiError("missing");
    await new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
  }
  return worker;
}
