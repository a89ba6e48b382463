import { isSameId } from "../interact/identifier.js";
import { Rereading } from "../interact/rereading.js";

/** @typedef {import("../interact/types.js").Message} Message */

/** Messages of one call that decides. */
const MOST = 50;
/** Posts of this page that are remembered, to know their places. */
const MINE = 1_000;

/**
 * What waits for a host's approval (docs/reference/order.md): for hosts everything, for a participant what they have said
 * themselves, and what of it was refused while the page was open.
 *
 * The stream has only a place of it, without content. Hosts ask at each one, participants at their own.
 */
export class Approvals {
  /** In the order of seq. @type {Message[]} */
  waiting = [];
  /** @type {Message[]} */
  refused = [];
  /** The ids of what this page has said. @type {Set<string>} */
  #mine = new Set();
  #reading = new Rereading(() => this.#read());
  #hasBegun = false;
  #isDue = false;

  /**
   * @param {object} parts
   * @param {boolean} parts.isHost
   * @param {(method: string, query: string, body?: unknown) => Promise<any>} parts.call asks the gateway
   * @param {() => void} parts.changed
   * @param {(task: Promise<unknown>) => void} parts.run reports the errors of a promise that nobody awaits
   */
  constructor({ isHost, call, changed, run }) {
    this.isHost = isHost;
    this.call = call;
    this.changed = changed;
    this.run = run;
  }

  /** The messages so far have been heard: ask once, if anything may wait. @param {boolean} isOrdered */
  begin(isOrdered) {
    this.#hasBegun = true;
    if (isOrdered || this.#isDue || this.isHost) this.look();
  }

  /** Note what the user's posts are called. @param {readonly {id: string}[]} posts */
  own(posts) {
    for (const { id } of posts) this.#mine.add(id);
    for (const oldest of this.#mine) {
      if (this.#mine.size <= MINE) break;
      this.#mine.delete(oldest);
    }
  }

  /** @param {Message} message of the stream, live or from the past */
  hear({ id, seq, type, sender, place }) {
    if (seq === null) return;
    if (type === "pending" && sender === "") {
      if (this.isHost || !this.#hasBegun || [...this.#mine].some((mine) => isSameId(mine, id))) this.look();
    } else if (place !== undefined) {
      const decided = this.waiting.find((message) => message.seq === place);
      if (decided === undefined) return;
      this.waiting = this.waiting.filter((message) => message !== decided);
      if (type === "refused" && !this.isHost) this.refused = [...this.refused, decided];
      this.changed();
    }
  }

  /** Ask what waits. */
  look() {
    if (!this.#hasBegun) this.#isDue = true;
    else this.run(this.#reading.ask());
  }

  /**
   * Decide about messages. Rejects with a Problem; what was decided until then is.
   *
   * @param {"approve" | "refuse"} fate
   * @param {readonly Message[]} messages
   */
  async decide(fate, messages) {
    const seqs = messages.map(({ seq }) => seq);
    try {
      for (let begin = 0; begin < seqs.length; begin += MOST) {
        const { decided } = await this.call("POST", "", { [fate]: seqs.slice(begin, begin + MOST) });
        const done = new Set(decided.map((/** @type {{place: number}} */ { place }) => place));
        this.waiting = this.waiting.filter(({ seq }) => !done.has(seq));
        this.changed();
      }
    } finally {
      this.look();
    }
  }

  async #read() {
    /** @type {Message[]} */
    const found = [];
    for (let after = /** @type {number | undefined} */ (0); after !== undefined; ) {
      const page = await this.call("GET", `?after=${after}`);
      found.push(...page.waiting);
      after = page.next;
    }
    this.waiting = found;
    this.changed();
  }
}
