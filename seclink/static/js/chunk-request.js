// @ts-check
/** Sends one encrypted chunk of files. By XMLHttpRequest: fetch does not say how much of a body has been sent. */

import { ApiError } from "./api-error.js";
import { toBase64 } from "./bytes.js";
import { sha256 } from "./envelope.js";
import { errorOf } from "./http.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const STALLED_MS = 60000; // without a byte sent, since a whole chunk may take minutes

/**
 * Resolves once the server has stored the chunk. Rejects with ApiError, `unreachable` if it was aborted.
 * @param {string} url
 * @param {string} token of the upload
 * @param {Bytes} sealed
 * @param {(bytes: number) => void} onSent gets the bytes sent so far
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export async function putChunk(url, token, sealed, onSent, signal) {
  const digest = toBase64(await sha256(sealed));
  if (signal.aborted) throw new ApiError("unreachable");
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    let timer = setTimeout(abort, STALLED_MS);
    signal.addEventListener("abort", abort);
    request.open("PUT", url);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("Content-Digest", `sha-256=:${digest}:`);
    request.setRequestHeader("SecLink-Upload", token);
    request.upload.addEventListener("progress", ({ loaded }) => {
      clearTimeout(timer);
      timer = setTimeout(abort, STALLED_MS);
      onSent(loaded);
    });
    request.addEventListener("loadend", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      if (request.status === 204) resolve();
      else reject(request.status ? errorOf(responseOf(request), request.responseText) : new ApiError("unreachable"));
    });
    request.send(sealed);
  });
}

/** @param {XMLHttpRequest} request */
function responseOf(request) {
  const retryAfter = request.getResponseHeader("Retry-After");
  return new Response(null, { status: request.status, headers: retryAfter ? { "Retry-After": retryAfter } : {} });
}
