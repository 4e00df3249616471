// @ts-check
/**
 * The bytes of a secret's files as one stream, encrypted in chunks.
 *
 *     plaintext     files one after another || zero bytes up to padded(N)
 *     chunks        count = ceil(padded(N) / C), all of C = 4,194,304 bytes but the last, which has the rest
 *     file_key      = HKDF(stream key, "seclink/v1/file", 32)
 *     sealed chunk  = nonce (12 random bytes) || AES-256-GCM(file_key, nonce, chunk, AAD), tag appended
 *     AAD           = "seclink/v1/file" || u64 index of the chunk || u8 (1 if it is the last, else 0)
 *
 * Tested with the same vector files as seclink/format/file_stream.py.
 */

import { ApiError } from "./api-error.js";
import { concat, utf8 } from "./bytes.js";
import { FORMAT, aes, hkdf, padded } from "./envelope.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

export const CHUNK_BYTES = 4194304;
const NONCE_BYTES = 12;
const OVERHEAD_BYTES = NONCE_BYTES + 16; // nonce and tag
const AAD = utf8(`${FORMAT}/file`);

/** The chunks of a stream of `size` bytes. */
export class FileStream {
  /**
   * @param {CryptoKey} key
   * @param {number} size
   */
  constructor(key, size) {
    this.key = key;
    this.size = size;
    this.padded = padded(size);
    this.chunks = Math.ceil(this.padded / CHUNK_BYTES);
    this.sealedBytes = this.padded + OVERHEAD_BYTES * this.chunks;
  }

  /**
   * @param {Bytes} streamKey 32 bytes
   * @param {number} size
   */
  static async of(streamKey, size) {
    return new this(await aes(await hkdf(streamKey, "file"), "encrypt", "decrypt"), size);
  }

  /**
   * Throw ApiError `not_authentic` if a server has another number of bytes or chunks than the header's size implies.
   * @param {number} sealedBytes
   * @param {number} chunks
   */
  check(sealedBytes, chunks) {
    if (sealedBytes !== this.sealedBytes || chunks !== this.chunks) throw new ApiError("not_authentic");
  }

  /**
   * Return the number of bytes of a chunk, padding included.
   * @param {number} index
   */
  length(index) {
    return Math.min(CHUNK_BYTES, this.padded - index * CHUNK_BYTES);
  }

  /**
   * Return chunk `index`, made of the stream's bytes at its place. Never use a nonce twice.
   * @param {number} index
   * @param {Bytes} nonce
   * @param {Bytes} content
   */
  async seal(index, nonce, content) {
    const plain = new Uint8Array(this.length(index));
    plain.set(content);
    const algorithm = { name: "AES-GCM", iv: nonce, additionalData: this.#aad(index) };
    return concat(nonce, new Uint8Array(await crypto.subtle.encrypt(algorithm, this.key, plain)));
  }

  /**
   * Return the stream's bytes in chunk `index`, without padding. Throws ApiError `not_authentic`.
   * @param {number} index
   * @param {Bytes} sealed
   */
  async open(index, sealed) {
    if (sealed.length !== this.length(index) + OVERHEAD_BYTES) throw new ApiError("not_authentic");
    const algorithm = { name: "AES-GCM", iv: sealed.subarray(0, NONCE_BYTES), additionalData: this.#aad(index) };
    const decrypted = await crypto.subtle.decrypt(algorithm, this.key, sealed.subarray(NONCE_BYTES)).catch(() => {
      throw new ApiError("not_authentic");
    });
    const plain = new Uint8Array(decrypted);
    const end = Math.max(0, Math.min(plain.length, this.size - index * CHUNK_BYTES));
    if (plain.subarray(end).some((byte) => byte !== 0)) throw new ApiError("not_authentic");
    return plain.subarray(0, end);
  }

  /** @param {number} index */
  #aad(index) {
    const place = new DataView(new ArrayBuffer(9));
    place.setBigUint64(0, BigInt(index));
    place.setUint8(8, Number(index === this.chunks - 1));
    return concat(AAD, new Uint8Array(place.buffer));
  }
}
