// @ts-check
/**
 * The bytes of a secret's files as they come from the server. Each chunk is verified before a byte of it is handed on,
 * and the last one is kept, so that many small files cost one request.
 */

import { CHUNK_BYTES, FileStream } from "./file-stream.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./file-header.js").FileHeader} FileHeader */
/** @typedef {import("./transfer.js").Transfer} Transfer */
/** @typedef {{size: number, chunks: number, grant: string, grantExpiresAt: number}} Granted */
/** @typedef {ReturnType<import("./api.js").api>} Server */

export class FileSource {
  /**
   * @param {FileStream} stream
   * @param {(index: number) => Promise<Bytes>} load
   */
  constructor(stream, load) {
    this.stream = stream;
    this.load = load;
    /** @type {{index: number, bytes: Bytes} | null} */
    this.last = null;
  }

  /**
   * Throws ApiError `not_authentic` if the server has other files than the header names.
   * @param {Server} server
   * @param {FileHeader} header
   * @param {Granted} granted
   */
  static async of(server, { key, size }, granted) {
    const stream = await FileStream.of(key, size);
    stream.check(granted.size, granted.chunks);
    return new this(stream, (index) => server.chunk(granted.grant, index));
  }

  /**
   * Yield `size` bytes of the stream from `start`. Throws ApiError `not_authentic`, `gone` or `stopped`.
   * @param {number} start
   * @param {number} size
   * @param {Transfer} transfer
   */
  async *bytes(start, size, transfer) {
    for (let at = start; at < start + size; ) {
      const index = Math.floor(at / CHUNK_BYTES);
      const first = index * CHUNK_BYTES;
      const chunk = await this.#chunk(index, transfer);
      const piece = chunk.subarray(at - first, start + size - first);
      await transfer.whenRunning();
      yield piece;
      transfer.add(piece.length);
      at += piece.length;
    }
  }

  /**
   * @param {number} index
   * @param {Transfer} transfer
   */
  async #chunk(index, transfer) {
    if (this.last?.index !== index) {
      const sealed = await transfer.attempt(() => this.load(index));
      this.last = { index, bytes: await this.stream.open(index, sealed) };
    }
    return this.last.bytes;
  }
}
