import { untilDone } from "./retry.js";
import { Roster } from "./roster.js";

/** @typedef {import("./channel.js").Channel} Channel */
/** @typedef {import("./channel.js").Listener} Listener */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./roster.js").Change} Change */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Present} Present */

/** Rough milliseconds between two reads of the list: changes are instant messages, and may be dropped. */
const REFRESH = 40_000;

/** Milliseconds that the list waits for the subscription, with which it would have to be read again. */
const OPENING = 2_000;

/** @param {Message} message */
export function isPresence({ type, seq }) {
  return type === "presence" && seq === null;
}

/**
 * The list of who is in a room, kept up to date.
 * @implements {Listener}
 */
export class Presence {
  position = null;
  #roster = new Roster();
  /** Changes that came while the list was read. @type {Message[]} */
  #meanwhile = [];
  /** The read that is under way. @type {Promise<void> | null} */
  #reading = null;
  /** Tells that the subscription is there. @type {(value?: unknown) => void} */
  #begun = () => {};

  /**
   * @param {object} parts
   * @param {Channel} parts.channel the room's public one
   * @param {() => Promise<{present: Present[]}>} parts.list
   * @param {(present: Present[], change: Change | null) => void} parts.tell
   * @param {(task: Promise<void>) => void} parts.run reports the errors of a promise that nobody awaits
   * @param {Patience} parts.patience its signal ends it
   */
  constructor({ channel, list, tell, run, patience }) {
    this.channel = channel;
    this.list = list;
    this.tell = tell;
    this.run = run;
    this.patience = patience;
  }

  /** Resolves when the list was handed over. */
  async open() {
    const { signal } = this.patience;
    signal.throwIfAborted();
    signal.addEventListener("abort", () => this.channel.leave(this));
    const opened = new Promise((resolve) => (this.#begun = resolve));
    this.channel.join(this);
    // Where the line does not come, the list does, or why not.
    if (!this.channel.isOpen) await Promise.race([opened, this.patience.wait(OPENING, signal)]);
    await (this.#reading ?? this.catchUp());
    this.run(this.#refresh());
  }

  /** @param {Message} message */
  receive(message) {
    if (!isPresence(message)) return;
    this.#meanwhile.push(message);
    for (const change of this.#roster.apply(message)) this.tell(this.#roster.present, change);
  }

  opened() {
    this.run(this.catchUp());
    this.#begun();
  }

  async catchUp() {
    const reading = this.#read().finally(() => {
      if (this.#reading === reading) this.#reading = null;
    });
    this.#reading = reading;
    await reading;
  }

  async #read() {
    this.#meanwhile = [];
    const { present } = await untilDone(this.list, this.patience);
    this.patience.signal.throwIfAborted();
    this.#roster.replace(present);
    for (const message of this.#meanwhile) Array.from(this.#roster.apply(message));
    this.#meanwhile = [];
    this.tell(this.#roster.present, null);
  }

  async #refresh() {
    const { wait, random, signal } = this.patience;
    for (;;) {
      await wait(REFRESH * (0.5 + random()), signal);
      if (this.channel.isOpen) this.run(this.catchUp());
    }
  }
}
