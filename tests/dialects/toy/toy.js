/** Opens the secrets of the toy dialect: format "toy"; see toy.py. */
// @ts-check
import { fromAnyBase64 } from "../bytes.js";
import { openRaw } from "../open-envelope.js";
import { ApiError } from "../api-error.js";
import { decodeBase64, parsePayload } from "./foreign.js";

const KEY = /^[A-Za-z0-9_-]{43}$/;

/** @param {string} fragment */
export async function unlock(fragment) {
  if (!KEY.test(fragment)) throw new ApiError("link_incomplete");
  const key = fromAnyBase64(fragment);
  return {
    proof: {},
    /**
     * @param {import("../bytes.js").Bytes} blob
     * @param {import("../bytes.js").Bytes} iv
     */
    async open(blob, iv) {
      const sealed = decodeBase64(parsePayload(blob, iv).sealed);
      return { type: "text", body: await openRaw(key, sealed.subarray(0, 12), sealed.subarray(12)) };
    },
  };
}
