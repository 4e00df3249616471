// @ts-check
/** A progress bar and what it says in words, with buttons that pause, continue and cancel. */

/** @typedef {import("./ui.js").Page} Page */

/** @type {Record<string, string>} */
const SPOKEN = { paused: "transfer.pausedShort", waiting: "transfer.waitingShort" };

export class ProgressPanel {
  /**
   * @param {Page} page
   * @param {string} label key of the text that names it
   * @param {{ toggle: () => void, cancel: () => void }} actions
   */
  constructor(page, label, { toggle, cancel }) {
    this.page = page;
    this.label = label;
    this.bar = document.createElement("progress");
    this.bar.dataset.tLabel = label;
    this.bar.setAttribute("aria-label", page.locale.t(label));
    this.text = element("p");
    // Read out when it changes, unlike the numbers.
    this.announced = element("p", { className: "visually-hidden", role: "status" });
    this.button = element("button", { type: "button", className: "secondary" });
    page.setLabels(this.button, "transfer.pause", "transfer.resume");
    this.button.addEventListener("click", toggle);
    const cancelling = page.element("button", "transfer.cancel", { type: "button", className: "danger" });
    cancelling.addEventListener("click", cancel);
    const actions = element("div", { className: "actions" });
    actions.append(this.button, cancelling);
    this.root = element("div", { className: "progress" });
    this.root.append(this.bar, this.text, this.announced, actions);
  }

  /**
   * @param {{ done: number, total: number, status: string }} state
   * @param {import("./ui.js").Text} text
   * @param {boolean} canPause what the button does: pause, or else continue
   */
  show({ done, total, status }, text, canPause) {
    this.bar.max = Math.max(1, total);
    this.bar.value = done;
    this.page.setText(this.text, text);
    const labels = ["transfer.resume", "transfer.pause"];
    if (canPause) labels.reverse();
    if (this.button.dataset.tOther !== labels[1]) this.page.setLabels(this.button, labels[0], labels[1]);
    const spoken = SPOKEN[status] ?? this.label;
    if (this.announced.dataset.state !== spoken) this.page.setText(this.announced, this.announced.dataset.state = spoken);
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} properties
 */
function element(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}
