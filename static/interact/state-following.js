import { hiddenSeq } from "./kept-fold.js";
import { Latch } from "./latch.js";
import { Rereading } from "./rereading.js";
import { untilDone } from "./retry.js";

/** @typedef {import("./channel.js").Channel} Channel */
/** @typedef {import("./channel.js").Listener} Listener */
/** @typedef {import("./kept-fold.js").KeptFold} KeptFold */
/** @typedef {import("./retry.js").Patience} Patience */
/** @typedef {import("./types.js").KeptChange} KeptChange */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").StatePage} StatePage */

/** Rough milliseconds of silence after which the gateway is asked whether a change was missed. */
const SILENCE = 60_000;
/** The same for entries that the gateway does not push to their author. */
const UNHEARD = 40_000;
/** Milliseconds: messages that overtake each other close most holes themselves. */
const HOLE_PATIENCE = 500;
/** The most milliseconds until a page asks for what hosts show again: a whole class does. */
const SPREAD = 2_000;

/**
 * Keeps the fold of one stream up to date: it is read after every break, and follows the messages from then on.
 * @implements {Listener}
 */
export class StateFollowing {
  /** It is read from the gateway, not from the history, whatever place the connection begins at. */
  position = null;
  /** Opened when every message comes, and everything before was read. @type {Latch<void | Promise<void>>} */
  #live = new Latch();
  #reading = new Rereading(() => this.#read());
  #watching = false;

  /**
   * @param {object} parts
   * @param {KeptFold} parts.fold
   * @param {Channel | null} parts.channel null: its messages are not pushed to this user
   * @param {(query: {after?: number, whole?: boolean, limit?: number}) => Promise<StatePage>} parts.ask
   * @param {() => boolean} parts.isVeiled whether the user gets nothing that hosts have hidden
   * @param {(changes: KeptChange[]) => void} parts.changed
   * @param {(task: Promise<void>) => void} parts.run reports the errors of a promise that nobody awaits
   * @param {Patience} parts.patience its signal ends it
   */
  constructor({ fold, channel, ask, isVeiled, changed, run, patience }) {
    this.fold = fold;
    this.channel = channel;
    this.ask = ask;
    this.isVeiled = isVeiled;
    this.changed = changed;
    this.run = run;
    this.patience = patience;
  }

  /** Resolves when the state is known, and every change will be. */
  async open() {
    const { channel, patience, run } = this;
    const { signal } = patience;
    signal.throwIfAborted();
    if (channel !== null) {
      signal.addEventListener("abort", () => {
        channel.leave(this);
        this.#live.fail(signal.reason);
      });
      channel.join(this);
    }
    await (channel === null || channel.isOpen ? this.catchUp() : this.#live.opened);
    run(this.#askInSilence());
  }

  /** @param {Message} message */
  receive(message) {
    this.#tell(this.fold.take(message));
    // Where nothing is pushed, the messages of others lie between one's own: a class that votes would ask at once.
    const isHole = this.channel !== null && message.seq !== null && message.seq > this.fold.seq;
    if (!isHole || this.#reading.isGoingOn || this.#watching) return;
    this.#watching = true;
    this.run(this.#fillHole().finally(() => (this.#watching = false)));
  }

  opened() {
    const reading = this.catchUp();
    this.#live.open(reading);
    this.run(reading);
  }

  /** Read what has changed. Rejects if trying again would not help. */
  catchUp() {
    return this.#reading.ask();
  }

  async #read() {
    const { fold, patience } = this;
    /** @type {{after?: number, whole?: boolean}} */
    let query = fold.isWhole ? { after: fold.seq } : {};
    const begin = query.after ?? 0;
    fold.begin();
    for (;;) {
      const page = await untilDone(() => this.ask(query), patience);
      patience.signal.throwIfAborted();
      this.#tell(fold.read(page));
      if (this.isVeiled()) this.#showPassedOver(page, begin, query.after ?? 0);
      if (page.complete) return;
      // Read from nothing, its next part begins before what the gateway remembers of cleared entries.
      query = { after: page.seq, ...(page.whole || query.whole ? { whole: true } : {}) };
    }
  }

  async #fillHole() {
    const { wait, signal } = this.patience;
    const { seq } = this.fold;
    await wait(HOLE_PATIENCE, signal);
    if (this.fold.seq === seq) await this.catchUp();
  }

  async #askInSilence() {
    const { channel, fold, patience, run } = this;
    const { wait, random, signal } = patience;
    for (;;) {
      const { seq } = fold;
      await wait((channel === null ? UNHEARD : SILENCE) * (0.5 + random()), signal);
      // A failure is reported, and the gateway asked again after the next silence.
      if (channel === null ? fold.entries().length > 0 : channel.isOpen && fold.seq === seq) {
        run(this.catchUp());
      }
    }
  }

  /** @param {KeptChange[]} found */
  #tell(found) {
    const isVeiled = this.isVeiled();
    const changes = isVeiled ? found.flatMap((change) => this.#veiled(change)) : found;
    if (changes.length === 0) return;
    this.changed(changes);
    if (!isVeiled) return;
    for (const { key, author, message } of changes) {
      const seq = author === null ? hiddenSeq(key) : null;
      if (seq === null) continue;
      if (message !== null) this.#tell(this.fold.hide(seq));
      else this.run(this.#show(seq));
    }
  }

  /**
   * A change without what hosts had hidden before it came: an answer may be older than that.
   *
   * @param {KeptChange} change
   * @returns {KeptChange[]}
   */
  #veiled(change) {
    const { message, before } = change;
    if (message === null || this.fold.get(`hidden:${message.seq}`) === null) return [change];
    if (this.fold.hide(Number(message.seq)).length === 0) return [change];
    return before === null ? [] : [{ ...change, message: null }];
  }

  /**
   * An earlier part of this read has none of what was hidden then, and if it is shown again by now, no entry tells:
   * neither its own, which has its old number, nor the one that hid it, which this page has never had.
   *
   * @param {StatePage} page a part of the read
   * @param {number} begin the seq from which on the read began
   * @param {number} after the seq from which on this part does
   */
  #showPassedOver({ state }, begin, after) {
    for (const { keep = "", body, role, of } of state) {
      const seq = body === null && role === "host" && of === undefined ? hiddenSeq(keep) : null;
      if (seq !== null && seq > begin && seq <= after) this.run(this.#show(seq));
    }
  }

  /** Read the entry that hosts show again, if the message was one: this page may have come while it was hidden. @param {number} seq */
  async #show(seq) {
    const { wait, random, signal } = this.patience;
    await wait(SPREAD * random(), signal);
    // As a further page, whatever was cleared since and is forgotten.
    const page = await untilDone(() => this.ask({ after: seq - 1, whole: true, limit: 1 }), this.patience);
    signal.throwIfAborted();
    this.#tell(this.fold.shown(page));
  }
}
