// @ts-check
/** Creating a secret with files: encrypt the text and the list of files, upload the files, then create the secret. */

import { idempotencyHeader } from "./api.js";
import { toBase64url } from "./bytes.js";
import { FileStream } from "./file-stream.js";
import { build, randomBytes } from "./link.js";
import { sealSecret } from "./seal.js";
import { showSending } from "./sending-panel.js";
import { Upload } from "./upload.js";
import { keepAwake } from "./wake-lock.js";

/** @typedef {{file: File, name: string, folder: string, mediaType: string}} ChosenFile */

const KEY_BYTES = 32;

/**
 * Resolves to the created secret, as `createSecret` does. Rejects with ApiError, also with the codes `cancelled` and
 * `source_changed`; then the server is told to erase what it has.
 * @param {import("./ui.js").Page} page
 * @param {ReturnType<import("./api.js").api>} api
 * @param {string} text
 * @param {ChosenFile[]} files
 * @param {Parameters<typeof sealSecret>[1]} options
 */
export async function createWithFiles(page, api, text, files, options) {
  const source = new Blob(files.map(({ file }) => file));
  const streamKey = randomBytes(KEY_BYTES);
  const stream = await FileStream.of(streamKey, source.size);
  const members = {
    files: files.map(({ file, name, folder, mediaType }) =>
      ({ name, ...(folder ? { folder } : {}), mediaType, size: file.size })),
    stream: { key: toBase64url(streamKey), size: source.size },
  };
  const { body, key } = await sealSecret(text, { ...options, members });
  const begun = await api.createUpload(stream.sealedBytes);
  const upload = new Upload(api, stream, source, begun);
  const hide = showSending(page, upload);
  try {
    await keepAwake(() => upload.run());
    const attached = { ...body, upload: { id: begun.uploadId, token: begun.uploadToken } };
    const headers = idempotencyHeader(); // the same for all attempts: the upload can be attached once
    const { shareUrl, ...created } = await upload.persist(() => api.create(attached, headers));
    return { link: await build(shareUrl, key), ...created };
  } catch (error) {
    api.deleteUpload(begun).catch(() => {}); // or the server erases it after an hour
    throw error;
  } finally {
    upload.close();
    hide();
  }
}
