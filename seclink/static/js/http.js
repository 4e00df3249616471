/**
 * The only module that sends requests, besides chunk-request.js. It retries like seclink/client/protocol.py.
 *
 * A request that is safe to repeat is attempted three times if the connection is lost, the response is broken, or the
 * server is busy or restarting. Every other error is final. Nothing of the browser goes along: no cookie, referrer or
 * cache, and redirects are not followed.
 */
// @ts-check
import { ApiError } from "./api-error.js";
import { integer, matching, state, string } from "./response-schema.js";

const PAUSES_MS = [200, 1000];
const MAX_PAUSE_MS = 5000;
const NOT_READY = [502, 503, 504];
/** The code for an error of a proxy. @type {Record<number, string>} */
const PROXY_CODES = {
  413: "payload_too_large", 429: "rate_limited", 502: "unreachable", 503: "unreachable", 504: "unreachable",
};
const LOCAL_CODES = ["unreachable", "link_incomplete", "not_authentic", "bad_answer"];

/**
 * @typedef {{method: string, url: string, isRepeatable: boolean, timeoutMs: number, headers?: Record<string, string>,
 *   body?: object, cache?: RequestCache, returnsBytes?: boolean}} HttpRequest `isRepeatable`: safe to send again after a
 *   lost response; `timeoutMs` is for one attempt; `returnsBytes`: the response is bytes, not text
 */

/**
 * Send a request and return what `parse` makes of the response's text, or its bytes. Rejects with ApiError.
 * @template T
 * @param {HttpRequest} request
 * @param {(body: any) => T} parse throws if this is not the expected response
 * @returns {Promise<T>}
 */
export async function send(request, parse) {
  for (let attempts = 0; ; attempts += 1) {
    try {
      return await attempt(request, parse);
    } catch (cause) {
      const error = /** @type {ApiError} */ (cause);
      const pause = Math.max(PAUSES_MS[attempts], (error.retryAfter || 0) * 1000); // NaN after the last attempt
      if (!request.isRepeatable || !isTransient(error) || !(pause <= MAX_PAUSE_MS)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/**
 * Return true if the same request may succeed in a moment: no response, a broken one, or a server that is not ready.
 * @param {ApiError} error
 */
function isTransient({ code, status }) {
  return status === undefined ? code === "unreachable" : status < 300 || NOT_READY.includes(status);
}

/**
 * @template T
 * @param {HttpRequest} request
 * @param {(body: any) => T} parse
 * @returns {Promise<T>}
 */
async function attempt(request, parse) {
  const { response, content } = await fetchContent(request);
  if (!response.ok) throw errorOf(response, String(content));
  try {
    return parse(content);
  } catch {
    throw new ApiError("bad_answer", { status: response.status });
  }
}

/** @param {HttpRequest} request */
async function fetchContent({ method, url, headers, body, cache = "no-store", timeoutMs, returnsBytes = false }) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  try {
    const response = await fetch(url, {
      method,
      headers: body ? { ...headers, "Content-Type": "application/json" } : headers,
      body: body && JSON.stringify(body),
      credentials: "omit",
      cache,
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: controller.signal,
    });
    const isBytes = returnsBytes && response.ok;
    return { response, content: isBytes ? new Uint8Array(await response.arrayBuffer()) : await response.text() };
  } catch {
    throw new ApiError("unreachable");
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Read a problem document. A proxy in front of SecLink answers with something else.
 * @param {Response} response
 * @param {string} text
 */
export function errorOf(response, text) {
  const status = response.status;
  try {
    const problem = JSON.parse(text);
    const code = matching(problem.code, /^[a-z_]{1,40}$/);
    if (LOCAL_CODES.includes(code)) throw new TypeError("not a code of a server");
    return new ApiError(code, {
      status,
      state: optional(state, problem.state),
      endedAt: optional(integer, problem.endedAt),
      attemptsLeft: optional(integer, problem.attemptsLeft),
      retryAfter: retryAfter(response),
      fields: optional(fieldsOf, problem.errors),
    });
  } catch {
    return new ApiError(PROXY_CODES[status] || "bad_answer", { status, retryAfter: retryAfter(response) });
  }
}

/**
 * @template T
 * @param {(value: unknown) => T} read
 * @param {unknown} value
 * @returns {T | undefined}
 */
function optional(read, value) {
  try {
    return read(value);
  } catch {
    return undefined;
  }
}

/** @param {any} errors */
function fieldsOf(errors) {
  return errors.map((/** @type {any} */ error) => string(error.field));
}

/** @param {Response} response */
function retryAfter(response) {
  const header = response.headers.get("Retry-After") || "";
  return /^[0-9]{1,9}$/.test(header) ? Math.max(1, Number(header)) : undefined;
}
