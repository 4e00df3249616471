/**
 * The one error of the front end: a `code`, and the details that the server sent with it.
 *
 * Codes are the server's, from its problem documents, and our own: `missing` (a file of the page), `unreachable`,
 * `link_incomplete`, `not_authentic`, `stopped` (by the user), `cut` (a download, by the browser) and `bad_answer` (the
 * response is not SecLink's). The page shows its own text for a code. The server's text is dropped, since it is in
 * English only.
 */
// @ts-check

export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {{status?: number, state?: string, endedAt?: number, attemptsLeft?: number, retryAfter?: number,
   *   fields?: string[]}} details `endedAt` in epoch milliseconds, `retryAfter` in seconds, `fields`: the invalid ones
   */
  constructor(code, details = {}) {
    super(code);
    this.name = "Refusal"; // as programs that use the client module know it
    this.code = code;
    this.status = details.status;
    this.state = details.state;
    this.endedAt = details.endedAt;
    this.attemptsLeft = details.attemptsLeft;
    this.retryAfter = details.retryAfter;
    this.fields = details.fields || [];
  }
}
