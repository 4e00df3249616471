/**
 * The one error of the front end: what was refused, as a code.
 *
 * Codes are the server's (its problem documents) and four of our own, which no server may claim: `unreachable`,
 * `link_incomplete`, `not_authentic`, `bad_answer` (not an answer of SecLink). Whoever shows it to people finds the
 * words for the code; the server's own words are dropped, as they would be in one language only.
 */
// @ts-check

export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {{status?: number, state?: string, endedAt?: number, attemptsLeft?: number, retryAfter?: number,
   *   fields?: string[]}} more `endedAt` in epoch milliseconds, `retryAfter` in seconds, `fields` names what was wrong
   */
  constructor(code, more = {}) {
    super(code);
    this.name = "ApiError";
    this.code = code;
    this.status = more.status;
    this.state = more.state;
    this.endedAt = more.endedAt;
    this.attemptsLeft = more.attemptsLeft;
    this.retryAfter = more.retryAfter;
    this.fields = more.fields || [];
  }
}
