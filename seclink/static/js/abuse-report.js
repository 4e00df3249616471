// @ts-check
/** The form that reports a secret to the server's administrator. */

import { $, errorText, field } from "./ui.js";

/**
 * @param {import("./ui.js").Page} page
 * @param {(reason: string) => Promise<unknown>} send
 */
export function setUpReportForm(page, send) {
  $("report-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const reason = field("reason");
    try {
      await send(reason.value.trim());
      reason.value = "";
      page.setText($("report-status"), "report.sent");
    } catch (error) {
      page.setText($("report-status"), errorText(error));
    }
  });
}
