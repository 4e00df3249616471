/**
 * The calls of sharokey-js (its class API, index.js), which no registry has, field for field: a body in chunks without a
 * Content-Length, null for what is unset, a Content-Type on every request, and three more tries after a 5xx or what is no
 * JSON.
 *
 * stdin: {"apiUrl", "token", "calls": [["createSecret", text, options] | [method, path], ...]}; stdout: for each call
 * {tries, status, said}, after a create the link it would show.
 */
import { randomInt, webcrypto } from "node:crypto";
import http from "node:http";
import { text as wholeOf } from "node:stream/consumers";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const CHUNK = 16384;
const { subtle } = webcrypto;
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const drawn = (length) => Array.from({ length }, () => LETTERS[randomInt(LETTERS.length)]).join("");

async function sealed(text, keyA, keyB) {
  const salt = webcrypto.getRandomValues(new Uint8Array(16));
  const iv = webcrypto.getRandomValues(new Uint8Array(12));
  const whole = await subtle.importKey("raw", Buffer.from(keyA + keyB), "PBKDF2", false, ["deriveKey"]);
  const stretch = { name: "PBKDF2", hash: "SHA-256", salt, iterations: 10000 };
  const key = await subtle.deriveKey(stretch, whole, { name: "AES-GCM", length: 256 }, false, ["encrypt"]);
  const content = await subtle.encrypt({ name: "AES-GCM", iv }, key, Buffer.from(text));
  return { content: base64(content), iv: base64(iv), salt: base64(salt), key: keyA };
}

function asked({ apiUrl, token }, method, path, body) {
  const headers = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": "Sharokey-JS/1.0.0",
    "Authorization": `Bearer ${token}`,
  };
  return new Promise((resolve, reject) => {
    const request = http.request(apiUrl + path, { method, headers }, async (answer) => {
      resolve({ status: answer.statusCode, text: await wholeOf(answer) });
    });
    request.on("error", reject);
    for (let at = 0; at < (body?.length ?? 0); at += CHUNK) request.write(body.subarray(at, at + CHUNK));
    request.end();
  });
}

async function persistently(given, ...request) {
  for (let tries = 1; ; tries++) {
    const { status, text } = await asked(given, ...request);
    let said = null;
    try {
      said = JSON.parse(text);
    } catch {} // no JSON: tried again
    if (tries > 3 || (said && status < 500)) return { tries, status, said };
  }
}

async function createSecret(given, text, options) {
  const [keyA, keyB] = [drawn(8), drawn(24)];
  const unset = { description: null, message: null, password: null, ip_whitelist: null, geolocation: null };
  const otp = { captcha: false, otp_email: null, otp_phone: null };
  const limits = { maximum_views: 1, expiration_hours: 24 };
  const body = { ...(await sealed(text, keyA, keyB)), ...limits, ...unset, ...otp, attachments: [], ...options };
  const outcome = await persistently(given, "POST", "/secrets", Buffer.from(JSON.stringify(body)));
  return { ...outcome, shareUrl: outcome.said?.success === true ? `${outcome.said.data.access_url}#${keyB}` : null };
}

const given = JSON.parse(await wholeOf(process.stdin));
const outcomes = [];
for (const [method, ...rest] of given.calls) {
  outcomes.push(await (method === "createSecret" ? createSecret(given, ...rest) : persistently(given, method, ...rest)));
}
console.log(JSON.stringify(outcomes));
