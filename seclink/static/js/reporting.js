// @ts-check
/**
 * Telling the sender that something is wrong with a secret.
 */

import { $, explained, field } from "./ui.js";

/**
 * @param {import("./ui.js").Page} page
 * @param {(reason: string) => Promise<unknown>} send
 */
export function reporting(page, send) {
  $("report-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const reason = field("reason");
    try {
      await send(reason.value.trim());
      reason.value = "";
      page.put($("report-said"), "report.sent");
    } catch (error) {
      page.put($("report-said"), explained(error));
    }
  });
}
