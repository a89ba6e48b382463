import { childOf } from "./child.js";
import { KeptFold } from "./kept-fold.js";
import { StateFollowing } from "./state-following.js";

/** @typedef {import("./channel.js").Channel} Channel */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").KeptChange} KeptChange */
/** @typedef {import("./types.js").KeptEntry} KeptEntry */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").StatePage} StatePage */

/**
 * @typedef {object} Parts
 * @property {() => Promise<Channel | null>} channel of the audience; null: it is not pushed to this user
 * @property {(query: {after?: number, whole?: boolean, limit?: number}) => Promise<StatePage>} ask
 * @property {() => boolean} isVeiled whether the user gets nothing that hosts have hidden
 * @property {(changes: KeptChange[]) => void} changed
 * @property {(task: Promise<void>, signal: AbortSignal) => void} run reports the errors of a promise that nobody
 *   awaits
 * @property {Patience} patience its signal is the connection's
 */

/** @typedef {{ending: AbortController, ready: Promise<void>, following: StateFollowing | null}} Current */

/**
 * A room's kept state of one audience: the newest message of each entry, as long as it is not cleared. Kept up to
 * date while the page follows it.
 */
export class KeptState {
  #fold = new KeptFold();
  /** How many subscriptions of the page follow it. */
  #followers = 0;
  /** @type {Current | null} */
  #current = null;
  #parts;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** The seq up to which every change is known. */
  get seq() {
    return this.#fold.seq;
  }

  /**
   * The message of an entry that stands.
   *
   * @param {string} key
   * @param {string | null} [author] the participant whose entry it is; null: the room's own, by its hosts
   * @returns {Message | null}
   */
  get(key, author = null) {
    return this.#fold.get(key, author);
  }

  /** The entries that stand, in the order of seq. @param {string} [prefix] of the keys @returns {KeptEntry[]} */
  entries(prefix = "") {
    return this.#fold.entries(prefix);
  }

  /** Ask the gateway what has changed. Resolves when that is known; rejects with a Problem, or if nobody follows. */
  async refresh() {
    if (this.#current === null) throw new TypeError("room.followState() first");
    await this.#current.ready;
    await this.#current?.following?.catchUp();
  }

  /**
   * Follow it until the signal ends that. Resolves when the state is known, and every change will be.
   *
   * @package
   * @param {AbortSignal} signal
   */
  async follow(signal) {
    signal.throwIfAborted();
    this.#followers += 1;
    signal.addEventListener("abort", () => this.#leave(), { once: true });
    for (let current = (this.#current ??= this.#begin()); ; current = this.#current) {
      try {
        await current.ready;
      } catch (error) {
        signal.throwIfAborted();
        if (this.#current === current || this.#current === null) throw error;
      }
      if (this.#current === current) return;
    }
  }

  /** The user may see something else now: begin from nothing. @package */
  restart() {
    if (this.#current === null) return;
    this.#fold.doubt();
    this.#current.ending.abort();
    this.#current = this.#begin();
    this.#parts.run(this.#current.ready, this.#current.ending.signal);
  }

  /** Ask for what is not pushed to this user: something may have been missed, or have changed. @package */
  catchUp() {
    const { following, ending } = this.#current ?? {};
    if (following?.channel === null && ending) this.#parts.run(following.catchUp(), ending.signal);
  }

  /** The gateway has stored a post of this page, which may not be pushed to its author. @package @param {Message} message */
  stored(message) {
    if (this.#current?.following?.channel === null) this.#current.following.receive(message);
  }

  #leave() {
    this.#followers -= 1;
    if (this.#followers > 0) return;
    this.#current?.ending.abort();
    this.#current = null;
  }

  /** @returns {Current} */
  #begin() {
    const ending = childOf(this.#parts.patience.signal);
    /** @type {Current} */
    const current = { ending, ready: Promise.resolve(), following: null };
    current.ready = this.#open(current);
    // A rejection concerns those who wait, if there are any.
    current.ready.catch(() => {});
    return current;
  }

  /** @param {Current} current */
  async #open(current) {
    const { channel, ask, isVeiled, changed, run, patience } = this.#parts;
    const { signal } = current.ending;
    current.following = new StateFollowing({
      fold: this.#fold,
      channel: await channel(),
      ask,
      isVeiled,
      changed,
      run: (task) => run(task, signal),
      patience: { ...patience, signal },
    });
    await current.following.open();
  }
}
