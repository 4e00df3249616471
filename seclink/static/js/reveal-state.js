// @ts-check
/**
 * The state of the reader's page: one phase, and what is known in it.
 *
 *     phase          the page shows                                     next phases
 *     checking       that the link is being checked                     offered, failed
 *     offered        the button that opens the secret                   revealing, checking
 *     revealing      the same, busy; a view may be spent any moment     opened, offered, locked, undecryptable, failed
 *     locked         the passcode field again: the view is spent, the   revealing
 *                    ciphertext is here, its passcode was wrong
 *     opened         the secret                                         wiped, checking
 *     undecryptable  a card: the ciphertext does not open               wiped, checking
 *     wiped          a card: the secret is no longer on this page       checking
 *     failed         a card for the error, such as "incomplete"         checking
 *
 * `checking` begins again when another link is pasted into the address bar, except while a view could be lost by it
 * (revealing, locked). Leaving the page wipes it, and so does a while without activity.
 *
 * @typedef {"checking" | "offered" | "revealing" | "locked" | "opened" | "undecryptable" | "wiped" | "failed"} Phase
 * @typedef {import("./secret-url.js").SecretUrl} Link
 * @typedef {typeof import("./file-list.js") & typeof import("./save-targets.js")} Saving
 *
 * @typedef {object} State
 * @property {Phase} phase
 * @property {string} linkId of the last link that was checked, for the report and for burning
 * @property {Link | null} link with its key; null until it is checked, and once the secret is open
 * @property {object} turn a new one for each check: an earlier one that is still under way no longer counts
 * @property {any} meta the server's response to the peek
 * @property {boolean} needsPasscode the server checks one, or the format has one that the server does not know
 * @property {{ proof: string, headers: Record<string, string> } | null} pending a reveal whose response may be lost
 * @property {import("./error-view.js").Ciphertext | null} ciphertext of a spent view that the passcode did not open
 * @property {any} response to the reveal, without the ciphertext; null until then, and once the page is wiped
 * @property {import("./openers.js").Proof | null} proof that revealed it, for burning; no other part of the key is kept
 * @property {() => void} stopIdleTimer
 * @property {Saving | null} saving the modules that save files, if the secret has some
 * @property {import("./file-list.js").FileList | null} files of the opened secret
 */

/** @type {State} */
export const state = {
  phase: "checking",
  linkId: "",
  link: null,
  turn: {},
  meta: null,
  needsPasscode: false,
  pending: null,
  ciphertext: null,
  response: null,
  proof: null,
  stopIdleTimer: () => {},
  saving: null,
  files: null,
};

/**
 * @param {Phase} phase
 * @param {Partial<State>} [changes]
 */
export function enter(phase, changes) {
  Object.assign(state, changes, { phase });
}
