// @ts-check
/**
 * The upload of a stream of files: chunks are read, encrypted and sent, three at a time, and each is sent again until
 * the server has it.
 *
 * An upload waits for as long as the server cannot be reached, and goes on by itself. It is given up if the server no
 * longer knows it, or if a file was changed. Only three chunks are in memory, whatever the size of the files.
 */

import { ApiError } from "./api-error.js";
import { putChunk } from "./chunk-request.js";
import { CHUNK_BYTES } from "./file-stream.js";
import { randomBytes } from "./link.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {{uploadId: string, uploadToken: string}} Begun */

const IN_FLIGHT = 3;
const NONCE_BYTES = 12;
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [500, 30000];
const MAX_RETRY_SECONDS = 300; // a chunk sent too early costs little, an upload given up costs all
const RATE_MS = 10000; // the time over which the rate is measured
const BROKEN_OFF = ["superseded", "digest_mismatch", "request_timeout", "rate_limited"];

export class Upload {
  /**
   * @param {ReturnType<import("./api.js").api>} api
   * @param {import("./file-stream.js").FileStream} stream
   * @param {Blob} source
   * @param {Begun} begun
   */
  constructor(api, stream, source, begun) {
    this.api = api;
    this.stream = stream;
    this.source = source;
    this.begun = begun;
    /** @type {"running" | "paused" | "waiting" | "cancelled"} */
    this.status = "running";
    this.next = 0;
    this.stored = 0; // bytes
    /** @type {Map<number, number>} bytes sent of the chunks in flight */
    this.sending = new Map();
    this.failures = 0;
    this.stop = new AbortController();
    /** @type {Set<() => void>} */
    this.sleepers = new Set();
    /** @type {[number, number][]} instants and bytes sent at them */
    this.samples = [];
  }

  /** Send all chunks. Rejects with ApiError, `source_changed` if a file cannot be read as it was chosen. */
  async run() {
    addEventListener("online", this.wakeUp);
    try {
      await Promise.all(Array.from({ length: IN_FLIGHT }, () => this.sendChunks()));
    } catch (error) {
      this.stop.abort(); // the other chunks in flight
      throw error;
    }
  }

  /** Free what the upload holds, once nothing of it is wanted. */
  close() {
    removeEventListener("online", this.wakeUp);
    this.stop.abort();
  }

  pause() {
    if (this.status === "cancelled") return;
    this.status = "paused";
    this.stop.abort();
  }

  resume() {
    if (this.status === "cancelled") return;
    this.status = "running";
    this.stop = new AbortController();
    this.samples = [];
    this.wakeUp();
  }

  cancel() {
    this.status = "cancelled";
    this.stop.abort();
    this.wakeUp();
  }

  wakeUp = () => {
    for (const wake of [...this.sleepers]) wake();
  };

  get total() {
    return this.stream.sealedBytes;
  }

  get done() {
    return Math.min(this.total, [...this.sending.values()].reduce((sum, bytes) => sum + bytes, this.stored));
  }

  /** Return the bytes sent in a second, of late. */
  rate() {
    const now = performance.now();
    this.samples = [...this.samples.filter(([at]) => now - at < RATE_MS), [now, this.done]];
    const [[since, before]] = this.samples;
    return now === since ? 0 : Math.max(0, (this.done - before) / (now - since) * 1000);
  }

  /**
   * Do `work` until it succeeds, while it fails because the server cannot be reached or is not ready.
   * @template T
   * @param {(signal: AbortSignal) => Promise<T>} work
   * @param {() => Promise<T | null>} [find] returns the result if the server had done it, null if not
   * @returns {Promise<T>}
   */
  async persist(work, find = async () => null) {
    for (;;) {
      await this.whenRunning();
      try {
        const result = await work(this.stop.signal);
        this.failures = 0;
        if (this.status === "waiting") this.status = "running";
        return result;
      } catch (error) {
        if (!isTransient(error)) throw error;
        await this.waitBeforeRetry(/** @type {ApiError} */ (error));
        await this.whenRunning();
        const result = await find().catch((reason) => {
          if (!isTransient(reason)) throw reason;
          return null;
        });
        if (result !== null) return result;
      }
    }
  }

  async sendChunks() {
    while (this.next < this.stream.chunks) {
      const index = this.next;
      this.next += 1;
      const sealed = await this.sealChunk(index);
      const url = this.api.chunkUrl(this.begun.uploadId, index);
      const onSent = (/** @type {number} */ bytes) => this.sending.set(index, Math.min(bytes, sealed.length));
      await this.persist(async (signal) => {
        try {
          await putChunk(url, this.begun.uploadToken, sealed, onSent, signal);
          return true;
        } finally {
          this.sending.delete(index);
        }
      }, () => this.findChunk(index));
      this.stored += sealed.length;
    }
  }

  /** @param {number} index */
  async sealChunk(index) {
    const start = index * CHUNK_BYTES;
    const expected = Math.max(0, Math.min(this.source.size - start, CHUNK_BYTES));
    const content = await this.source.slice(start, start + expected).arrayBuffer().catch(() => null);
    if (content?.byteLength !== expected) throw new ApiError("source_changed");
    return this.stream.seal(index, randomBytes(NONCE_BYTES), new Uint8Array(content));
  }

  /** Return true if the server has a chunk, null if not. @param {number} index */
  async findChunk(index) {
    const { received } = await this.api.upload(this.begun);
    return received.some(([from, to]) => from <= index && index <= to) || null;
  }

  /** Resolves while the upload is not paused. Rejects with ApiError `cancelled`. */
  async whenRunning() {
    while (this.status === "paused") await this.sleep(LONGEST_PAUSE_MS);
    if (this.status === "cancelled") throw new ApiError("cancelled");
  }

  /** @param {ApiError} error */
  async waitBeforeRetry(error) {
    if (this.status === "paused" || this.status === "cancelled") return;
    this.status = "waiting";
    this.failures += 1;
    const pause = FIRST_PAUSE_MS * 2 ** Math.min(this.failures - 1, 10);
    const minimum = Math.min(error.retryAfter ?? 0, MAX_RETRY_SECONDS) * 1000;
    await this.sleep(Math.max(Math.min(pause, LONGEST_PAUSE_MS), minimum));
  }

  /** Resolves after a time, or earlier if there is a network again or a button was pressed. @param {number} ms */
  async sleep(ms) {
    await new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.sleepers.delete(wake);
        resolve(undefined);
      };
      const timer = setTimeout(wake, ms);
      this.sleepers.add(wake);
    });
  }
}

/** @param {any} error */
function isTransient(error) {
  const { code, status } = error ?? {};
  if (BROKEN_OFF.includes(code) || code === "unreachable") return true;
  return status !== undefined && status >= 500 && status !== 507;
}
