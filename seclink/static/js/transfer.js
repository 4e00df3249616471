// @ts-check
/**
 * One saving of files: how much of it is done, and pausing, resuming, stopping and waiting for the network. Chunks can be
 * fetched again as long as the grant lasts, so a break of the network costs no more than a chunk.
 */

import { ApiError } from "./api-error.js";

/** @typedef {"running" | "paused" | "waiting"} Status waiting: for the network or a busy server */

const TEMPORARY = ["unreachable", "busy", "storage", "rate_limited"];
const MIN_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 30_000;

export class Transfer {
  /**
   * @param {number} total bytes
   * @param {number} until epoch milliseconds: when the server ends it
   * @param {() => void} onChange called whenever `status` or `done` changes
   */
  constructor(total, until, onChange) {
    this.total = total;
    this.until = until;
    this.onChange = onChange;
    this.done = 0;
    this.startedAt = performance.now();
    /** @type {Status} */
    this.status = "running";
    this.isStopped = false;
    this.wake = () => {};
    /** Rejects with ApiError `stopped`. @type {Promise<never>} */
    this.stopped = new Promise((_, reject) => (this.reject = () => reject(new ApiError("stopped"))));
    this.stopped.catch(() => {}); // it counts only where it is waited for
  }

  /** @param {number} bytes that are saved or handed on */
  add(bytes) {
    this.done += bytes;
    this.onChange();
  }

  pause() {
    this.#enter("paused");
  }

  /** Go on after a pause, or attempt at once what waits for the network. */
  resume() {
    this.#enter("running");
    this.wake();
  }

  stop() {
    this.isStopped = true;
    this.reject?.();
    this.wake();
  }

  /** Return the remaining seconds, as far as they can be foretold. */
  secondsLeft() {
    const seconds = (performance.now() - this.startedAt) / 1000;
    return this.done ? (this.total - this.done) * seconds / this.done : 0;
  }

  /** Wait while paused. Throws ApiError `stopped`. */
  async whenRunning() {
    while (this.status === "paused" && !this.isStopped) await new Promise((resolve) => (this.wake = () => resolve(null)));
    if (this.isStopped) throw new ApiError("stopped");
  }

  /**
   * Do `work` until it succeeds, with growing pauses while there is no network. Throws what cannot be cured by waiting.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async attempt(work) {
    for (let pause = MIN_PAUSE_MS; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      await this.whenRunning();
      try {
        const result = await Promise.race([work(), this.stopped]);
        if (this.status === "waiting") this.#enter("running");
        return result;
      } catch (error) {
        if (!TEMPORARY.includes(/** @type {any} */ (error)?.code)) throw error;
        if (Date.now() > this.until) throw new ApiError("gone");
      }
      if (this.status === "running") this.#enter("waiting");
      await this.#rest(pause);
    }
  }

  /** Wait for the pause, the network's return, or `resume`. @param {number} pause ms */
  async #rest(pause) {
    await new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        removeEventListener("online", done);
        resolve(null);
      };
      const timer = setTimeout(done, pause);
      addEventListener("online", done);
      this.wake = done;
    });
  }

  /** @param {Status} status */
  #enter(status) {
    this.status = status;
    this.onChange();
  }
}
