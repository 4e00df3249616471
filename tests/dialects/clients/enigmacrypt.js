// EnigmaCrypt's documented sample, member by member, with the crypto-js that NODE_PATH leads to.
//
//     node enigmacrypt.js BASE SECRET PASSWORD [TOKEN]
//
// BASE replaces the sample's https://enigmacrypt.app. Prints the sample's result, or fails with its error.
const CryptoJS = require("crypto-js");

const [base, secret, password, apiToken] = process.argv.slice(2);

function encryptMessage(message, key) {
  const salt = CryptoJS.lib.WordArray.random(128 / 8);
  const derivedKey = CryptoJS.PBKDF2(key, salt, { keySize: 256 / 32, iterations: 100000 });
  const iv = CryptoJS.lib.WordArray.random(128 / 8);
  const messageObj = { version: "v1", content: message, created: new Date().toISOString() };
  const encrypted = CryptoJS.AES.encrypt(JSON.stringify(messageObj), derivedKey, {
    iv,
    padding: CryptoJS.pad.Pkcs7,
    mode: CryptoJS.mode.CBC,
  });
  return salt.toString() + iv.toString() + encrypted.toString();
}

async function createSecret() {
  const encryptedContent = encryptMessage(secret, password);
  const res = await fetch(`${base}/api/messages`, {
    method: "POST",
    headers: { ...(apiToken && { Authorization: `Bearer ${apiToken}` }), "Content-Type": "application/json" },
    body: JSON.stringify({ encryptedContent, name: "API Secret", expiresAt: null, maxAccess: 1 }),
  });
  const data = await res.json();
  if (!data.success) throw new Error(data.error);
  return { url: `${base}/s/${data.data.messageId}`, password };
}

createSecret().then((result) => console.log(JSON.stringify(result)));
