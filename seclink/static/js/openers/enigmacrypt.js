/**
 * Opens what a client of EnigmaCrypt sealed: format "enigmacrypt". All of the key is in the password, which no server
 * ever sees, and nothing of it in the link.
 *
 *     payload   {"encryptedContent": hex(salt 16) || hex(iv 16) || base64(AES-256-CBC(key, iv, JSON))}
 *     JSON      {"version": "v1", "content": text, "created": ...}
 *     key       PBKDF2-HMAC(password, salt, 100000, 32) with SHA-256 (CryptoJS since 4.2.0) or SHA-1 (before)
 *
 * Nothing authenticates it, so a wrong password cannot be told from damage: both are `passcode_wrong`, and what came is
 * to be tried again. It is shown as text whatever it holds.
 */
// @ts-check
import { fromUtf8, utf8 } from "../bytes.js";
import { ApiError } from "../api-error.js";
import { bytesOf, payloadOf, stretched, textLike } from "./foreign.js";

export const LOCAL_PASSCODE = true;

const SEALED = /^(?:[0-9a-fA-F]{2}){32}[A-Za-z0-9+/]+={0,2}$/;
const ROUNDS = 100000;
const HASHES = ["SHA-256", "SHA-1"];

/**
 * Any fragment will do, there is none; `open` rejects with `passcode_wrong`, or `not_authentic` where no passcode
 * helps.
 * @param {string} _fragment
 * @param {string | null} [passcode]
 */
export async function unlock(_fragment, passcode) {
  const password = utf8(passcode ?? "", "passcode");
  return {
    proof: {},
    /**
     * @param {Uint8Array} blob
     * @param {Uint8Array} iv
     */
    async open(blob, iv) {
      const sealed = textLike(payloadOf(blob, iv).encryptedContent, SEALED);
      const [salt, innerIv, data] = [hex(sealed.slice(0, 32)), hex(sealed.slice(32, 64)), bytesOf(sealed.slice(64))];
      if (data.length % 16) throw new ApiError("not_authentic");
      for (const hash of password.length ? HASHES : []) {
        const body = await decrypted(await stretched(password, salt, ROUNDS, hash), innerIv, data);
        if (body) return { type: "text", body };
      }
      throw new ApiError("passcode_wrong");
    },
  };
}

/**
 * Null where padding, encoding or shape say that it was another key.
 * @param {Uint8Array} bytes of the key
 * @param {Uint8Array} iv
 * @param {Uint8Array} data
 */
async function decrypted(bytes, iv, data) {
  try {
    const key = await crypto.subtle.importKey("raw", bytes, "AES-CBC", false, ["decrypt"]);
    const plain = await crypto.subtle.decrypt({ name: "AES-CBC", iv }, key, data);
    const { version, content } = JSON.parse(fromUtf8(new Uint8Array(plain)));
    // Not utf8(): half a character in it is no reason to show nothing.
    return version === "v1" && typeof content === "string" ? new TextEncoder().encode(content) : null;
  } catch {
    return null;
  }
}

/** @param {string} text */
function hex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (each) => parseInt(each, 16));
}
