import { Follower } from "./follower.js";
import { Latch } from "./latch.js";
import { untilDone } from "./retry.js";

/** @typedef {import("./channel.js").Channel} Channel */
/** @typedef {import("./channel.js").Listener} Listener */
/** @typedef {import("./follower.js").Parts} Parts */

/** Rough milliseconds of silence after which the history is asked whether something was missed. */
const SILENCE = 40_000;

/**
 * A handler's place on a channel: the history first, then the connection.
 * @implements {Listener}
 */
export class Following {
  #live = new Latch();
  /** The page has not asked for messages before this seq, so missing ones are no gap. */
  #started = false;
  /** @type {Follower} */
  #follower;

  /** @param {number} after @param {Channel} channel @param {Parts} parts */
  constructor(after, channel, parts) {
    this.channel = channel;
    this.parts = parts;
    this.#follower = new Follower(after, {
      ...parts,
      gap: (gap) => this.#started && parts.gap(gap),
    });
    const { signal } = parts.patience;
    signal.addEventListener("abort", () => {
      channel.leave(this);
      this.#live.fail(signal.reason);
    });
  }

  /**
   * A place so many messages before the end.
   *
   * @param {number} last
   * @param {Channel} channel
   * @param {Parts} parts
   */
  static async atLast(last, channel, parts) {
    const end = { after: Number.MAX_SAFE_INTEGER, limit: 1 };
    const { head } = await untilDone(() => parts.history(end), parts.patience);
    return new Following(Math.max(0, head - last), channel, parts);
  }

  get position() {
    return this.#follower.position;
  }

  /**
   * Resolves when everything up to now was given and all that follows will be.
   *
   * @param {object} how
   * @param {boolean} how.isAsked whether the page named the place: then missing messages there are a gap
   * @param {boolean} how.isBehind whether there may be messages between the place and the end
   */
  async open({ isAsked, isBehind }) {
    const { run, patience } = this.parts;
    const { signal } = patience;
    this.#started = isAsked;
    if (isBehind) await this.catchUp();
    this.#started = true;
    signal.throwIfAborted();
    const isFirst = this.channel.join(this);
    if (!this.channel.isOpen) await this.#live.opened;
    // The connection began at another listener's place.
    if (!isFirst) await this.catchUp();
    run(this.#askInSilence());
  }

  /** @param {import("./types.js").Message} message */
  receive(message) {
    this.#follower.receive(message);
  }

  opened() {
    this.#live.open();
  }

  catchUp() {
    return this.#follower.catchUp();
  }

  async #askInSilence() {
    const { run, patience } = this.parts;
    const { wait, random, signal } = patience;
    for (;;) {
      const { position } = this;
      await wait(SILENCE * (0.5 + random()), signal);
      // A failure is reported, and the history asked again after the next silence.
      if (this.channel.isOpen && this.position === position) run(this.catchUp());
    }
  }
}
