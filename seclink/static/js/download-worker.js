// @ts-check
/**
 * The service worker of one download, for browsers whose pages cannot write to the disk. It passes pieces that the page
 * has verified to the browser, one whenever the browser asks. It has no key, sends no request, keeps nothing, and answers
 * only the URL that its page announced. It unregisters itself once its page is done with it, or is gone.
 */

const LINGER_MS = 2000; // Firefox takes a file for whole if its worker ends before the browser has seen an error
const worker = /** @type {any} */ (globalThis);
/** @type {{url: string, name: string, size: number, port: MessagePort} | null} */
let announced = null;
let fail = () => {};

worker.addEventListener("install", () => worker.skipWaiting());

worker.addEventListener("message", (/** @type {MessageEvent} */ { data, ports }) => {
  const [port] = ports;
  if (!port) return; // a ping: without events, some browsers end a worker that is still sending
  announced = { ...data, port };
  // Each side holds one lock and waits for the other's, which it gets when the other ends in whatever way.
  navigator.locks.request(`${data.url}#worker`, () => new Promise(() => port.postMessage("announced")));
  navigator.locks.request(`${data.url}#page`, async () => {
    fail();
    await new Promise((resolve) => setTimeout(resolve, LINGER_MS));
    await worker.registration.unregister();
  });
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  if (!announced || event.request.url !== announced.url) return;
  event.respondWith(responseFor(announced));
  announced = null;
});

/** @param {{name: string, size: number, port: MessagePort}} download */
function responseFor({ name, size, port }) {
  port.postMessage("started");
  let passed = () => {};
  const start = (/** @type {ReadableStreamDefaultController<Uint8Array>} */ controller) => {
    fail = () => controller.error(new TypeError("stopped")); // does nothing to a stream that is closed
    port.onmessage = ({ data: { piece, isEnd } }) => {
      if (piece) controller.enqueue(piece);
      else if (isEnd) controller.close();
      else fail();
      if (!piece) port.postMessage("ended");
      passed();
    };
  };
  const pull = () => new Promise((resolve) => {
    passed = () => resolve(undefined);
    port.postMessage("pull");
  });
  const cancel = () => port.postMessage("cancelled");
  const body = new ReadableStream({ start, pull, cancel }, { highWaterMark: 0 });
  return new Response(body, {
    headers: {
      "Content-Type": "application/octet-stream",
      "Content-Disposition": `attachment; filename*=UTF-8''${encoded(name)}`,
      "Content-Length": String(size),
      "Content-Security-Policy": "default-src 'none'; sandbox",
      "Cross-Origin-Embedder-Policy": "require-corp",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

/** Encode a name by RFC 8187. @param {string} name */
function encoded(name) {
  return encodeURIComponent(name).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}
