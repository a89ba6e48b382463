import { uuid } from "./identifier.js";
import { Latch } from "./latch.js";
import { Problem } from "./problem.js";
import { untilDone } from "./retry.js";

/** @typedef {import("./letter-store.js").LetterStore} LetterStore */
/** @typedef {import("./letter-store.js").Kept} Kept */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").Audience} Audience */
/** @typedef {import("./types.js").Letter} Letter */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Receipt} Receipt */

/** Letters that may wait, and the characters of their bodies together. */
const MOST_LETTERS = 100;
const MOST_CHARACTERS = 250_000;

/** What a page says in one room: one message after the other, each until it is answered. */
export class Outbox {
  /** @type {Letter[]} */
  #letters = [];
  /** Answers that somebody waits for, by id. @type {Map<string, Latch<Receipt>>} */
  #answers = new Map();
  /** Ids of what came back before its answer did. @type {Set<string>} */
  #seen = new Set();
  /** @type {LetterStore | null} */
  #store = null;
  #busy = false;

  /**
   * @param {object} parts
   * @param {(letter: Letter) => Promise<Receipt>} parts.post
   * @param {() => void} parts.changed is told when {@link letters}, or one of them, changed
   * @param {(audience: Audience, seq: number) => boolean} parts.comes whether the message will still come
   * @param {() => number} parts.now
   * @param {Patience} parts.patience
   */
  constructor({ post, changed, comes, now, patience }) {
    this.post = post;
    this.changed = changed;
    this.comes = comes;
    this.now = now;
    this.patience = patience;
  }

  /** What was said and has not come back. @returns {readonly Letter[]} */
  get letters() {
    return this.#letters.filter(({ id }) => !this.#seen.has(id));
  }

  /**
   * @param {{id?: string, audience: Audience, type: string, body: unknown}} what
   * @returns {Promise<Receipt>} rejects with a {@link Problem} that does not pass
   */
  send({ id = uuid(), audience, type, body }) {
    const known = this.#answers.get(id);
    if (known) return known.opened;
    if (this.#isFull(body)) {
      const problem = new Problem(0, "outbox_full", "too much waits to be sent already");
      return Promise.reject(problem);
    }
    /** @type {Letter} */
    const letter = {
      ...{ id, audience, type, body, written: this.now() },
      ...{ state: "sending", problem: null },
    };
    /** @type {Latch<Receipt>} */
    const answer = new Latch();
    this.#answers.set(id, answer);
    this.#letters.push(letter);
    this.#store?.save(letter);
    this.changed();
    this.resume();
    return answer.opened;
  }

  /** Keep what is not sent over a reload, and send what was left behind. @param {LetterStore} store */
  async keepIn(store) {
    this.#store = store;
    for (const letter of this.#unsent) store.save(letter);
    await this.adopt();
  }

  /** Send what pages that are gone have left behind. */
  async adopt() {
    const kept = (await this.#store?.adopt()) ?? [];
    const adopted = kept.filter(({ id }) => this.#letters.every((letter) => letter.id !== id));
    if (adopted.length === 0) return;
    const letters = adopted.map((kept) => ({
      ...kept,
      state: /** @type {const} */ ("sending"),
      problem: null,
    }));
    this.#letters = [...letters, ...this.#letters];
    this.changed();
    this.resume();
  }

  /** It was refused, and the user has seen that. @param {string} id */
  forget(id) {
    const letter = this.#letters.find((one) => one.id === id);
    if (letter?.state === "refused") this.#remove(id);
  }

  /** A message came back from the gateway. @param {Message} message */
  arrived({ id }) {
    const letter = this.#letters.find((one) => one.id === id);
    if (!letter) return;
    if (letter.state === "confirmed") this.#remove(id);
    else {
      this.#seen.add(id);
      this.changed();
    }
  }

  /** Nobody listens to an audience any more. */
  prune() {
    const gone = this.#letters.filter(
      ({ state, audience }) => state === "confirmed" && !this.comes(audience, Infinity),
    );
    for (const { id } of gone) this.#remove(id);
  }

  /** Go on sending. */
  resume() {
    if (this.#busy) return;
    this.#busy = true;
    void this.#deliverAll();
  }

  async #deliverAll() {
    try {
      for (let next; (next = this.#unsent[0]);) {
        if (!(await this.#deliver(next))) return;
      }
    } finally {
      // In the turn that found nothing more: what is said in the next one must not wait for others.
      this.#busy = false;
    }
  }

  /** @param {Letter} letter @returns {Promise<boolean>} whether to go on with the next one */
  async #deliver(letter) {
    const { id, audience } = letter;
    try {
      const receipt = await untilDone(
        () => this.post(letter),
        this.patience,
        (problem) => this.#mark(letter, "waiting", problem),
      );
      this.#store?.remove(id);
      this.#answer(id)?.open(receipt);
      const comes = !this.#seen.has(id) && this.comes(audience, Number(receipt.seq));
      if (comes) this.#mark(letter, "confirmed", null);
      else this.#remove(id);
      return true;
    } catch (error) {
      if (!(error instanceof Problem) || error.passes) {
        // The page has ended it; what is kept is for the next one.
        for (const [id, { fail }] of this.#answers) {
          this.#answers.delete(id);
          fail(error);
        }
        return false;
      }
      if (error.status === 401) {
        // Nobody is logged in: it waits for the next one of the same name.
        this.#mark(letter, "waiting", error);
        return false;
      }
      this.#store?.remove(id);
      this.#answer(id)?.fail(error);
      this.#mark(letter, "refused", error);
      return true;
    }
  }

  get #unsent() {
    return this.#letters.filter(({ state }) => state === "sending" || state === "waiting");
  }

  /** @param {unknown} body */
  #isFull(body) {
    const unsent = this.#unsent;
    const characters = [body, ...unsent.map((letter) => letter.body)].reduce(
      (/** @type {number} */ sum, one) => sum + (JSON.stringify(one)?.length ?? 0),
      0,
    );
    return unsent.length >= MOST_LETTERS || characters > MOST_CHARACTERS;
  }

  /** @param {Letter} letter @param {Letter["state"]} state @param {Problem | null} problem */
  #mark(letter, state, problem) {
    letter.state = state;
    letter.problem = problem;
    this.changed();
  }

  /** @param {string} id */
  #remove(id) {
    this.#letters = this.#letters.filter((letter) => letter.id !== id);
    this.#seen.delete(id);
    this.changed();
  }

  /** Who waits for an answer, for the last time. @param {string} id */
  #answer(id) {
    const answer = this.#answers.get(id);
    this.#answers.delete(id);
    return answer;
  }
}
