// @ts-check
/**
 * The service worker of one download, for browsers whose pages cannot write to the disk. It passes pieces that the page
 * has verified to the browser, one whenever the browser asks. It has no key, sends no request, keeps nothing, and answers
 * only the URL that its page announced. The page unregisters it afterwards.
 */

const worker = /** @type {any} */ (globalThis);
/** @type {Map<string, {name: string, size: number, port: MessagePort}>} */
const announced = new Map();

worker.addEventListener("install", () => worker.skipWaiting());

worker.addEventListener("message", (/** @type {MessageEvent} */ { data, ports }) => {
  const [port] = ports;
  if (!port) return; // a ping: without events, some browsers end a worker that is still sending
  announced.set(data.url, { ...data, port });
  port.postMessage("announced");
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const download = announced.get(event.request.url);
  if (!download) return;
  announced.delete(event.request.url);
  event.respondWith(responseFor(download));
});

/** @param {{name: string, size: number, port: MessagePort}} download */
function responseFor({ name, size, port }) {
  port.postMessage("started");
  const pull = (/** @type {ReadableStreamDefaultController<Uint8Array>} */ controller) => new Promise((resolve) => {
    port.onmessage = ({ data: { piece, isEnd } }) => {
      if (piece) controller.enqueue(piece);
      else if (isEnd) controller.close();
      else controller.error(new TypeError("stopped"));
      if (isEnd) port.postMessage("ended");
      resolve(undefined);
    };
    port.postMessage("pull");
  });
  const cancel = () => port.postMessage("cancelled");
  const body = new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
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
