import { ApiError } from "./api-error.js";
import { uuid } from "./identifier.js";
import { untilDone } from "./retry.js";

/** @typedef {import("./api.js").Receipt} Receipt */
/** @typedef {import("./retry.js").Patience} Patience */

/**
 * A message on its way. `problem` says why it has to wait, or why it was refused.
 * @typedef {object} Letter
 * @property {string} id
 * @property {string} body
 * @property {"sending" | "waiting" | "refused"} state
 * @property {ApiError | null} problem
 */

/** What the user says to one stream: one message after the other, each until it is answered. */
export class Outgoing {
  /** @type {Letter[]} */
  letters = [];
  /** Is told of each answer. @type {(letter: Letter, receipt: Receipt) => void} */
  sent = () => {};
  /** Is told when `letters`, or one of them, changed. */
  changed = () => {};
  #busy = false;

  /**
   * @param {(message: {id: string, body: string}) => Promise<Receipt>} post
   * @param {Patience} patience
   */
  constructor(post, patience) {
    this.post = post;
    this.patience = patience;
  }

  /** Resolves when nothing is left to send. @param {string} body */
  async send(body) {
    this.letters.push({ id: uuid(), body, state: "sending", problem: null });
    this.changed();
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next; (next = this.letters.find(({ state }) => state === "sending"));) {
        await this.#deliver(next);
      }
    } finally {
      this.#busy = false;
    }
  }

  /** It was refused and read, or has arrived. @param {string} id */
  forget(id) {
    this.letters = this.letters.filter((letter) => letter.id !== id);
    this.changed();
  }

  /** @param {Letter} letter */
  async #deliver(letter) {
    const { id, body } = letter;
    try {
      const receipt = await untilDone(
        () => this.post({ id, body }),
        this.patience,
        (problem) => this.#mark(letter, "waiting", problem),
      );
      this.sent(letter, receipt);
      this.forget(id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#mark(letter, "refused", error);
    }
  }

  /** @param {Letter} letter @param {Letter["state"]} state @param {ApiError} problem */
  #mark(letter, state, problem) {
    letter.state = state;
    letter.problem = problem;
    this.changed();
  }
}
