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
  return Boolean(navigator.serviceWorker);
}

/**
 * Begin a download.
 * @param {string} name
 * @param {number} size bytes
 * @returns {Promise<Target>}
 */
export async function workerTarget(name, size) {
  const scope = `${FOLDER_URL}${toHex(randomBytes(16))}/`;
  const url = policy ? policy.createScriptURL(WORKER_URL) : WORKER_URL;
  const registration = await navigator.serviceWorker.register(url, { scope });
  const unregister = () => registration.unregister();
  addEventListener("pagehide", unregister);
  const worker = await activated(registration);
  const { port1, port2 } = new MessageChannel();
  const feed = new Feed(port1);
  const ping = setInterval(() => worker.postMessage("ping"), PING_MS);
  const end = async () => {
    clearInterval(ping);
    port1.close();
    removeEventListener("pagehide", unregister);
    await unregister();
  };
  worker.postMessage({ url: `${scope}file`, name, size }, [port2]);
  await feed.next("announced");
  // Without the attribute `download`, which would have the browser ask the server and not the worker.
  Object.assign(document.createElement("a"), { href: `${scope}file` }).click();
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
      await end();
    },
    async abort() {
      port1.postMessage({});
      await feed.next("pull").catch(() => {});
      await end();
    },
  };
}

/** Receives what the worker says, in its order. */
class Feed {
  /** @param {MessagePort} port */
  constructor(port) {
    /** @type {string[]} */
    this.messages = [];
    this.wake = () => {};
    port.onmessage = ({ data }) => {
      this.messages.push(data);
      this.wake();
    };
  }

  /**
   * Wait for a message. Throws ApiError `stopped` if the browser's download was cancelled.
   * @param {string} expected
   */
  async next(expected) {
    while (!this.messages.length) await new Promise((resolve) => (this.wake = () => resolve(null)));
    if (this.messages.shift() !== expected) throw new ApiError("stopped");
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
