/**
 * Opens secrets that EnigmaCrypt's clients sealed: format "enigmacrypt". The whole key is derived from the password,
 * which no server ever receives; no part of it is in the link.
 *
 *     payload   {"encryptedContent": hex(salt 16) || hex(iv 16) || base64(AES-256-CBC(key, iv, JSON))}
 *     JSON      {"version": "v1", "content": text, "created": ...}
 *     key       PBKDF2-HMAC(password, salt, 100000, 32) with SHA-256 (CryptoJS since 4.2.0) or SHA-1 (before)
 *
 * Nothing authenticates the payload, so a wrong password cannot be told from damage: both are `passcode_wrong`, and
 * another password can be tried on the same payload. The content is always shown as text.
 */
// @ts-check
import { fromUtf8, utf8 } from "../bytes.js";
import { ApiError } from "../api-error.js";
import { decodeBase64, matchingText, parsePayload, pbkdf2 } from "./foreign.js";

export const LOCAL_PASSCODE = true;

const SEALED = /^(?:[0-9a-fA-F]{2}){32}[A-Za-z0-9+/]+={0,2}$/;
const ITERATIONS = 100000;
const HASHES = ["SHA-256", "SHA-1"];

/**
 * Accept any fragment, because links have none. `open` rejects with ApiError `passcode_wrong`, or with `not_authentic`
 * if no passcode can open the payload.
 * @param {string} _fragment
 * @param {string | null} [passcode]
 */
export async function unlock(_fragment, passcode) {
  const password = utf8(passcode ?? "", "passcode");
  return {
    proof: {},
    /**
     * @param {import("../bytes.js").Bytes} blob
     * @param {import("../bytes.js").Bytes} iv
     */
    async open(blob, iv) {
      const sealed = matchingText(parsePayload(blob, iv).encryptedContent, SEALED);
      const salt = decodeHex(sealed.slice(0, 32));
      const innerIv = decodeHex(sealed.slice(32, 64));
      const data = decodeBase64(sealed.slice(64));
      if (data.length % 16) throw new ApiError("not_authentic");
      for (const hash of password.length ? HASHES : []) {
        const body = await decrypt(await pbkdf2(password, salt, ITERATIONS, hash), innerIv, data);
        if (body) return { type: "text", body };
      }
      throw new ApiError("passcode_wrong");
    },
  };
}

/**
 * Return the content, or null if padding, encoding or form show that the key is wrong.
 * @param {import("../bytes.js").Bytes} keyBytes
 * @param {import("../bytes.js").Bytes} iv
 * @param {import("../bytes.js").Bytes} data
 */
async function decrypt(keyBytes, iv, data) {
  try {
    const key = await crypto.subtle.importKey("raw", keyBytes, "AES-CBC", false, ["decrypt"]);
    const plain = await crypto.subtle.decrypt({ name: "AES-CBC", iv }, key, data);
    const { version, content } = JSON.parse(fromUtf8(new Uint8Array(plain)));
    // Not utf8(), which rejects lone surrogates: they are no reason to show nothing.
    return version === "v1" && typeof content === "string" ? new TextEncoder().encode(content) : null;
  } catch {
    return null;
  }
}

/** @param {string} text */
function decodeHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (digits) => parseInt(digits, 16));
}
