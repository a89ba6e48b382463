import { uuid } from "../interact/identifier.js";
import { letterFor } from "./letters.js";
import { emptyRoom, reduce } from "./state.js";

/** @typedef {import("../interact/connection.js").Connection} Connection */
/** @typedef {import("../interact/types.js").Letter} Letter */
/** @typedef {import("../interact/types.js").Message} Message */
/** @typedef {import("../interact/types.js").Present} Present */
/** @typedef {import("../interact/types.js").RoomInfo} RoomInfo */
/** @typedef {import("./state.js").Hand} Hand */
/** @typedef {import("./state.js").Poll} Poll */
/** @typedef {import("./state.js").Question} Question */
/** @typedef {import("./state.js").Room} Room */

/**
 * `down`: what is written waits. `why` says what a refusal is about.
 * @typedef {{
 *   name: "connecting" | "live" | "down" | "login" | "refused" | "closed",
 *   why?: {code: string, detail: string},
 * }} LineState
 */

/** Messages to begin with: an open poll is among them, and votes for it. */
const RECENT = { public: 1_000, private: 5_000 };
/** Messages at each look further back. */
const PAGE = 200;
/** Milliseconds between two claps of one person. */
const CLAP_PAUSE = 500;

/** What the connection's state means for people. @type {Record<string, LineState["name"]>} */
const LINE = {
  connecting: "connecting",
  connected: "live",
  waiting: "down",
  unauthenticated: "login",
  refused: "refused",
  closed: "down",
};

/**
 * One room as a page sees it: its state, who is there, and what the user does in it.
 *
 * Events: `change` (anything that is shown), `clap`.
 */
export class Classroom extends EventTarget {
  /** @type {Present[]} */
  present = [];
  /** Whether what was said so far is here. */
  isLoaded = false;
  /** Whether there is more of the conversation before {@link room}. */
  hasEarlier = false;
  /** @type {LineState["why"]} */
  #refusal;
  /** Private letters whose receipt this page gets itself. @type {Set<string>} */
  #asked = new Set();
  /** @type {Set<string>} */
  #privateLetters = new Set();
  #page = crypto.getRandomValues(new Uint32Array(2)).join("-");
  #clapped = 0;
  /** The seq of the oldest public message that is here. */
  #first = Infinity;
  /** The seq up to which a participant's own private messages are here. */
  #ownSeq = 0;

  /**
   * @param {object} parts
   * @param {Connection} parts.connection
   * @param {RoomInfo} parts.info
   * @param {string} parts.me
   * @param {AbortSignal} parts.signal ends it; what was written is sent all the same
   */
  constructor({ connection, info, me, signal }) {
    super();
    this.connection = connection;
    this.info = info;
    this.me = me;
    this.isHost = info.role === "host";
    this.isReadOnly = info.closed_at !== null;
    this.signal = signal;
    this.line = connection.room(info.id);
    /** @type {Room} */
    this.room = emptyRoom(info.hosts ?? []);
    connection.addEventListener("state", () => this.#changed(), { signal });
    this.line.addEventListener("waiting", () => this.#lettersChanged(), { signal });
  }

  /** What the user has said and has not come back. @returns {readonly Letter[]} */
  get letters() {
    return this.line.waiting;
  }

  /** @returns {LineState} */
  get lineState() {
    if (this.isReadOnly) return { name: "closed" };
    if (this.#refusal) return { name: "refused", why: this.#refusal };
    const { name, reason, detail } = this.connection.state;
    return { name: LINE[name], why: { code: reason, detail } };
  }

  get presentParticipants() {
    return this.present.filter(({ role }) => role === "participant").length;
  }

  /**
   * Follow the room. `asDesk`: as the page at which a host works, which the private queue is served to.
   *
   * @param {{asDesk: boolean}} how
   */
  async open({ asDesk }) {
    if (this.isReadOnly) await this.#readClosed();
    else await this.#follow(asDesk);
    if (!this.isHost) await this.#readOwn();
    this.isLoaded = true;
    this.#changed();
  }

  /** @param {boolean} asDesk */
  async #follow(asDesk) {
    const { line, signal } = this;
    const take = (/** @type {Message} */ message) => this.#hear(message);
    const all = line.subscribe(take, { last: RECENT.public });
    const subscriptions = [all];
    if (this.isHost) {
      subscriptions.push(line.subscribe(take, { audience: "private", last: RECENT.private }));
      if (asDesk) subscriptions.push(line.private((message) => this.#keep(message)));
    }
    const presence = line.presence((present) => {
      this.present = present;
      const hosts = present.filter(({ role }) => role === "host").map(({ user }) => user);
      if (hosts.some((user) => !this.room.hosts.has(user))) {
        this.room = { ...this.room, hosts: new Set([...this.room.hosts, ...hosts]) };
      }
      this.#changed();
    });
    signal.addEventListener("abort", () => {
      for (const subscription of [...subscriptions, presence]) subscription.close();
    });
    try {
      // The private queue may be another page's turn.
      await Promise.all(subscriptions.slice(0, this.isHost ? 2 : 1).map(({ ready }) => ready));
      this.hasEarlier = this.#beginsLate;
    } catch (problem) {
      if (signal.aborted) return;
      this.#refuse(problem);
    }
  }

  /** @param {any} problem */
  #refuse(problem) {
    this.#refusal = { code: problem.code ?? "", detail: `${problem.detail ?? problem}` };
    this.#changed();
  }

  /** A closed room has nobody to follow, but can be read. */
  async #readClosed() {
    const { head } = await this.line.history({ after: Number.MAX_SAFE_INTEGER, limit: 1 });
    await this.#readAll("public", Math.max(0, head - RECENT.public));
    this.hasEarlier = this.#beginsLate;
    if (this.isHost) await this.#readAll("private", 0);
  }

  /** The private messages of a participant are not delivered, but can be read. */
  async #readOwn() {
    await this.#readAll("private", this.#ownSeq);
  }

  /** @param {"public" | "private"} audience @param {number} after */
  async #readAll(audience, after) {
    for (let next = /** @type {number | undefined} */ (after); next !== undefined; ) {
      const page = await this.line.history({ audience, after: next });
      for (const message of page.messages) this.#keep(message);
      next = page.next;
    }
  }

  get #beginsLate() {
    return this.#first > 1 && this.#first < Infinity;
  }

  /** Look further back. */
  async readEarlier() {
    const before = this.#first;
    const after = Math.max(0, before - 1 - PAGE);
    const page = await this.line.history({ after, limit: before - 1 - after });
    for (const message of page.messages) this.#keep(message);
    this.hasEarlier = after > 0 && page.complete;
    this.#first = after + 1;
    this.#changed();
  }

  /** @param {Message} message that is said to a topic now */
  #hear(message) {
    const { seq, type, body } = message;
    if (seq !== null) this.#keep(message);
    else if (type === "clap" && body?.page !== this.#page) this.dispatchEvent(new Event("clap"));
  }

  /** @param {Message} message from anywhere, maybe once more */
  #keep(message) {
    if (message.seq === null) return;
    if (message.audience === "public") this.#first = Math.min(this.#first, message.seq);
    else this.#ownSeq = Math.max(this.#ownSeq, message.seq);
    const room = reduce(this.room, message);
    if (room === this.room) return;
    this.room = room;
    this.#changed();
  }

  #lettersChanged() {
    const now = this.letters.filter(({ audience }) => audience === "private").map(({ id }) => id);
    const gone = [...this.#privateLetters].filter((id) => !now.includes(id));
    this.#privateLetters = new Set(now);
    // Sent by an earlier page of mine and adopted by this one: its answer was not for us.
    const adopted = gone.some((id) => !this.#asked.has(id));
    if (adopted && !this.isHost) this.#readOwn().catch((problem) => this.#refuse(problem));
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  // What the user does.

  /** @param {string} text */
  say(text) {
    void this.line.post(text).catch(() => {});
  }

  /** @param {string} text */
  ask(text) {
    this.#ask("question", text);
  }

  /** @param {Poll} poll @param {number} option */
  vote(poll, option) {
    this.#ask("vote", { poll: poll.id, option });
  }

  /** @param {boolean} up */
  raiseHand(up) {
    this.#ask("hand", { up });
  }

  clap() {
    const now = Date.now();
    if (now - this.#clapped < CLAP_PAUSE) return;
    this.#clapped = now;
    this.dispatchEvent(new Event("clap"));
    // What is instant may be dropped, a clap that was refused as well.
    this.line
      .post({ page: this.#page }, { type: "clap", importance: "instant" })
      .catch(() => {});
  }

  /** @param {string} question @param {string[]} options */
  startPoll(question, options) {
    this.#post("poll", { question, options });
  }

  /** @param {Poll} poll @param {number[]} totals */
  endPoll({ id, question, options }, totals) {
    this.#post("poll-closed", { poll: id, question, options, totals });
  }

  /** @param {Question} question @param {string} text */
  answer(question, text) {
    this.#post("answer", { text, question: question.id, quote: question.text });
  }

  /** @param {Question} question */
  setAside(question) {
    this.#ask("question-done", { question: question.id });
  }

  /** @param {Hand} hand */
  callOn(hand) {
    this.#post("hand-taken", { hand: hand.id });
  }

  /** @param {Letter} letter that was refused */
  forget({ id }) {
    this.line.forget(id);
  }

  /** @param {Poll} poll */
  isEnding({ id }) {
    return letterFor(this.letters, "poll-closed", ({ poll }) => poll === id) !== null;
  }

  /** Whether what ends it is on its way. @param {string} id of a question or a hand */
  isDealtWith(id) {
    const names = (/** @type {any} */ body) => body.question === id || body.hand === id;
    return ["answer", "question-done", "hand-taken"].some(
      (type) => letterFor(this.letters, type, names) !== null,
    );
  }

  /** The choice that is on its way. @param {Poll} poll @returns {number | null} */
  choiceOnItsWay({ id }) {
    return letterFor(this.letters, "vote", ({ poll }) => poll === id)?.body.option ?? null;
  }

  /** Whether my hand goes up or down; null if it stays. @returns {boolean | null} */
  get handOnItsWay() {
    return letterFor(this.letters, "hand", () => true)?.body.up ?? null;
  }

  /** @param {string} type @param {object} body */
  #post(type, body) {
    // A refusal is shown by the letter.
    void this.line.post(body, { type }).catch(() => {});
  }

  /** @param {string} type @param {any} body */
  #ask(type, body) {
    const id = uuid();
    this.#asked.add(id);
    const asked = { id, room: this.info.id, audience: /** @type {const} */ ("private") };
    this.line.ask(body, { type, id }).then(
      ({ seq, sent_at }) => this.#keep({ ...asked, seq, sender: this.me, sent_at, type, body }),
      () => {},
    );
  }
}
