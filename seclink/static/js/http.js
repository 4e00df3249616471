/**
 * The only fetch: one question and its answer, asked as seclink/client/protocol.py asks it.
 *
 * Three tries over lost connections, broken answers and servers that are busy or restarting, for what is harmless to
 * repeat; a refusal is final at once. Nothing of the browser's goes along: no cookie, no referrer, no cache, no
 * redirect followed.
 */
// @ts-check
import { matching, state, whole, word } from "./response-schema.js";
import { ApiError } from "./api-error.js";

const WAITS_MS = [200, 1000];
const LONGEST_WAIT_MS = 5000;
const NOT_READY = [502, 503, 504];
const NOT_A_SERVER_S = ["unreachable", "link_incomplete", "not_authentic", "bad_answer"];

/**
 * @typedef {{method: string, url: string, repeatable: boolean, ms: number, headers?: Record<string, string>,
 *   body?: object, cache?: RequestCache}} Request `repeatable`: asked again where the answer may be lost; `ms` is how
 *   long one try may take
 */

/**
 * What `read` makes of the answer. Rejects with ApiError.
 * @template T
 * @param {Request} request
 * @param {(text: string) => T} read throws for what is not the answer it wants
 * @returns {Promise<T>}
 */
export async function exchange(request, read) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt(request, read);
    } catch (error) {
      const refusal = /** @type {ApiError} */ (error);
      const pause = Math.max(WAITS_MS[tries], (refusal.retryAfter || 0) * 1000); // NaN after the last try
      if (!request.repeatable || !passes(refusal) || !(pause <= LONGEST_WAIT_MS)) throw error;
      await new Promise((go) => setTimeout(go, pause));
    }
  }
}

/**
 * Whether the same request may succeed in a moment: no answer, a broken one, a server not ready.
 * @param {ApiError} refusal
 */
function passes({ code, status }) {
  return status === undefined ? code === "unreachable" : status < 300 || NOT_READY.includes(status);
}

/**
 * @template T
 * @param {Request} request
 * @param {(text: string) => T} read
 * @returns {Promise<T>}
 */
async function attempt(request, read) {
  const { response, text } = await send(request);
  if (!response.ok) throw refused(response, text);
  try {
    return read(text);
  } catch {
    throw new ApiError("bad_answer", { status: response.status });
  }
}

/** @param {Request} request */
async function send({ method, url, headers, body, cache = "no-store", ms }) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), ms);
  try {
    const response = await fetch(url, {
      method,
      headers: body ? { ...headers, "Content-Type": "application/json" } : headers,
      body: body && JSON.stringify(body),
      credentials: "omit",
      cache,
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: late.signal,
    });
    return { response, text: await response.text() };
  } catch {
    throw new ApiError("unreachable");
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What an answer that is not a success stands for. Whoever stands in front of SecLink speaks otherwise.
 * @param {Response} response
 * @param {string} text
 */
function refused(response, text) {
  const status = response.status;
  try {
    const problem = JSON.parse(text);
    const code = matching(problem.code, /^[a-z_]{1,40}$/);
    if (NOT_A_SERVER_S.includes(code)) throw new TypeError("not a server's to say");
    return new ApiError(code, {
      status,
      state: known(state, problem.state),
      endedAt: known(whole, problem.endedAt),
      attemptsLeft: known(whole, problem.attemptsLeft),
      retryAfter: retryAfter(response),
      fields: known(fieldsOf, problem.errors),
    });
  } catch {
    return new ApiError(NOT_READY.includes(status) ? "unreachable" : "bad_answer", { status });
  }
}

/**
 * @template T
 * @param {(value: unknown) => T} read
 * @param {unknown} value
 * @returns {T | undefined}
 */
function known(read, value) {
  try {
    return read(value);
  } catch {
    return undefined;
  }
}

/** @param {any} errors */
function fieldsOf(errors) {
  return errors.map((/** @type {any} */ each) => word(each.field));
}

/** @param {Response} response */
function retryAfter(response) {
  const said = response.headers.get("Retry-After") || "";
  return /^[0-9]{1,9}$/.test(said) ? Math.max(1, Number(said)) : undefined;
}
