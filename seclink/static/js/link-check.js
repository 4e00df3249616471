// @ts-check
/**
 * Decides whether the link in the address bar is complete. Each check that fails throws ApiError `link_incomplete`, for
 * which the page shows "This link is incomplete". The first two send nothing to the server; none spends anything.
 */

import { checkFragment, openerFor } from "./openers.js";
import { state } from "./reveal-state.js";
import { secretFromUrl } from "./secret-url.js";

/**
 * Return the link, the server's response to the peek, and whether the reader has to type a passcode.
 * @param {ReturnType<import("./api.js").api>} server
 */
export async function checkLink(server) {
  const { href, hash } = location;
  const link = await secretFromUrl(location); // 1. the URL names a secret
  if (hash === location.hash) state.linkId = link.linkId;
  await checkFragment(link.fragment, link.formats); // 2. the fragment is a whole key of a format that the path can have
  const meta = await server.meta(link.linkId);
  const opener = await openerFor(link.fragment, meta.format, link.formats); // 3. ... and of this secret's format
  return { link: { ...link, href }, meta, needsPasscode: meta.passcodeRequired || Boolean(opener.LOCAL_PASSCODE) };
}
