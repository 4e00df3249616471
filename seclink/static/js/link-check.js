// @ts-check
/**
 * Decides whether the link in the address bar is complete. Each check that fails throws ApiError `link_incomplete`, for
 * which the page shows "This link is incomplete". The first two send nothing to the server; none spends anything.
 */

import { ApiError } from "./api-error.js";
import { keepKey, ownUrl } from "./kept-key.js";
import { openerFor } from "./openers.js";
import { state } from "./reveal-state.js";
import { secretFromUrl } from "./secret-url.js";

/**
 * Return the link, the server's response to the peek, and whether the reader has to type a passcode.
 * @param {ReturnType<import("./api.js").api>} server
 * @param {object} turn
 */
export async function checkLink(server, turn) {
  const link = await secretFromUrl(ownUrl()); // 1. the URL names a secret
  const isCurrent = turn === state.turn;
  if (isCurrent) state.linkId = link.linkId;
  if (!link.isWhole) throw new ApiError("link_incomplete"); // 2. it has a whole key of a format that it can have
  if (isCurrent && link.fragment) keepKey(link, link.fragment);
  const meta = await server.meta(link.linkId);
  const opener = await openerFor(link.fragment, meta.format, link.formats); // 3. ... and of this secret's format
  return { link, meta, needsPasscode: meta.passcodeRequired || Boolean(opener.LOCAL_PASSCODE) };
}
