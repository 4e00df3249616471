/**
 * The requests of sharokey-js (its class API, index.js), which is in no registry, member by member: a chunked body
 * without Content-Length, null for unset members, a Content-Type on every request, and three retries after a 5xx or a
 * response that is not JSON.
 *
 * stdin: {"apiUrl", "token", "calls": [["createSecret", text, options] | [method, path], ...]}; stdout: for each call
 * {attempts, status, body}, and after a create the link that the client shows.
 */
import { randomInt, webcrypto } from "node:crypto";
import http from "node:http";
import { text as readAll } from "node:stream/consumers";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const CHUNK = 16384;
const { subtle } = webcrypto;
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const randomText = (length) => Array.from({ length }, () => LETTERS[randomInt(LETTERS.length)]).join("");

async function seal(text, keyA, keyB) {
  const salt = webcrypto.getRandomValues(new Uint8Array(16));
  const iv = webcrypto.getRandomValues(new Uint8Array(12));
  const password = await subtle.importKey("raw", Buffer.from(keyA + keyB), "PBKDF2", false, ["deriveKey"]);
  const pbkdf2 = { name: "PBKDF2", hash: "SHA-256", salt, iterations: 10000 };
  const key = await subtle.deriveKey(pbkdf2, password, { name: "AES-GCM", length: 256 }, false, ["encrypt"]);
  const content = await subtle.encrypt({ name: "AES-GCM", iv }, key, Buffer.from(text));
  return { content: base64(content), iv: base64(iv), salt: base64(salt), key: keyA };
}

function send({ apiUrl, token }, method, path, body) {
  const headers = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": "Sharokey-JS/1.0.0",
    "Authorization": `Bearer ${token}`,
  };
  return new Promise((resolve, reject) => {
    const request = http.request(apiUrl + path, { method, headers }, async (response) => {
      resolve({ status: response.statusCode, text: await readAll(response) });
    });
    request.on("error", reject);
    for (let at = 0; at < (body?.length ?? 0); at += CHUNK) request.write(body.subarray(at, at + CHUNK));
    request.end();
  });
}

async function sendWithRetries(server, ...request) {
  for (let attempts = 1; ; attempts++) {
    const { status, text } = await send(server, ...request);
    let body = null;
    try {
      body = JSON.parse(text);
    } catch {} // not JSON: sent again
    if (attempts > 3 || (body && status < 500)) return { attempts, status, body };
  }
}

async function createSecret(server, text, options) {
  const [keyA, keyB] = [randomText(8), randomText(24)];
  const unset = { description: null, message: null, password: null, ip_whitelist: null, geolocation: null };
  const otp = { captcha: false, otp_email: null, otp_phone: null };
  const limits = { maximum_views: 1, expiration_hours: 24 };
  const body = { ...(await seal(text, keyA, keyB)), ...limits, ...unset, ...otp, attachments: [], ...options };
  const outcome = await sendWithRetries(server, "POST", "/secrets", Buffer.from(JSON.stringify(body)));
  return { ...outcome, shareUrl: outcome.body?.success === true ? `${outcome.body.data.access_url}#${keyB}` : null };
}

const server = JSON.parse(await readAll(process.stdin));
const outcomes = [];
for (const [method, ...rest] of server.calls) {
  outcomes.push(await (method === "createSecret" ? createSecret(server, ...rest) : sendWithRetries(server, method, ...rest)));
}
console.log(JSON.stringify(outcomes));
