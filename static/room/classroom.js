import { uuid } from "../interact/identifier.js";
import { LiveRoom } from "./live-room.js";
import { pendingPost } from "./pending-posts.js";

/** @typedef {import("../interact/types.js").PendingPost} PendingPost */
/** @typedef {import("../interact/types.js").Present} Present */
/** @typedef {import("./state.js").Hand} Hand */
/** @typedef {import("./state.js").Poll} Poll */
/** @typedef {import("./state.js").Question} Question */

/**
 * `down`: posts wait. `why`: the reason of a refusal.
 * @typedef {{
 *   name: "connecting" | "live" | "down" | "login" | "refused" | "closed",
 *   why?: {code: string, detail: string},
 * }} RoomStatus
 */

/** The least milliseconds between two claps of one person. */
const CLAP_PAUSE = 500;

/** What the connection's state means for people. @type {Record<string, RoomStatus["name"]>} */
const STATUS = {
  connecting: "connecting",
  connected: "live",
  waiting: "down",
  unauthenticated: "login",
  refused: "refused",
  user_changed: "login",
  closed: "down",
};

/** Refusals that concern the user's membership, which may be given back. */
const AWAY = new Set(["removed", "access_refused"]);

/** Whether the user is no longer in the room, or has another role now. @param {RoomStatus} state */
export function isSentAway({ name, why }) {
  return name === "refused" && why !== undefined && AWAY.has(why.code);
}

/** One room for its user: what arrives there, and what the user does. */
export class Classroom extends LiveRoom {
  /** Private posts whose receipt this page gets itself. @type {Set<string>} */
  #asked = new Set();
  /** @type {Set<string>} */
  #privatePosts = new Set();
  #clapped = 0;

  /**
   * @param {ConstructorParameters<typeof LiveRoom>[0]} parts posts are sent even after the signal
   *   has ended the rest
   */
  constructor(parts) {
    super(parts);
    const { connection, signal } = parts;
    this.connection = connection;
    connection.addEventListener("state", () => this.changed(), { signal });
    this.gatewayRoom.addEventListener("waiting", () => this.#postsChanged(), { signal });
  }

  /** What the user has said and has not come back. @returns {readonly PendingPost[]} */
  get pendingPosts() {
    return this.gatewayRoom.waiting;
  }

  /** Whether the page can be left without loss: unsent posts are stored for the next page. */
  get isSafe() {
    return this.pendingPosts.every(({ state, saved }) => saved || state === "refused" || state === "confirmed");
  }

  /** @returns {RoomStatus} */
  get status() {
    if (this.isReadOnly) return { name: "closed" };
    if (this.refusal) return { name: "refused", why: this.refusal };
    const { name, reason, detail } = this.connection.state;
    return { name: STATUS[name], why: { code: reason, detail } };
  }

  /** @param {string} text @param {() => void} [unkept] is called if it will not be sent because too many wait */
  say(text, unkept) {
    this.#await(this.gatewayRoom.post(text), unkept);
  }

  /** @param {string} text @param {() => void} [unkept] */
  ask(text, unkept) {
    this.#ask("question", text, unkept);
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
    // Instant messages may be dropped, and so may a refused clap.
    this.gatewayRoom
      .post({ page: this.page }, { type: "clap", importance: "instant" })
      .catch(() => {});
  }

  /** @param {string} question @param {string[]} options @param {() => void} [unkept] */
  startPoll(question, options, unkept) {
    this.#post("poll", { question, options }, unkept);
  }

  /** @param {Poll} poll @param {number[]} totals */
  endPoll({ id, question, options }, totals) {
    this.#post("poll-closed", { poll: id, question, options, totals });
  }

  /** @param {Pick<Question, "id" | "text">} question @param {string} text @param {() => void} [unkept] */
  answer(question, text, unkept) {
    this.#post("answer", { text, question: question.id, quote: question.text }, unkept);
  }

  /** @param {Question} question */
  setAside(question) {
    this.#ask("question-done", { question: question.id });
  }

  /** @param {Hand} hand */
  callOn(hand) {
    this.#post("hand-taken", { hand: hand.id });
  }

  /** @param {PendingPost} post that was refused */
  forget({ id }) {
    this.gatewayRoom.forget(id);
  }

  /** @param {Poll} poll */
  isEnding({ id }) {
    return pendingPost(this.pendingPosts, "poll-closed", ({ poll }) => poll === id) !== null;
  }

  /** Whether the message that ends it is on its way. @param {string} id of a question or a hand */
  isDealtWith(id) {
    const names = (/** @type {any} */ body) => body.question === id || body.hand === id;
    return ["answer", "question-done", "hand-taken"].some(
      (type) => pendingPost(this.pendingPosts, type, names) !== null,
    );
  }

  /** The choice that is on its way. @param {Poll} poll @returns {number | null} */
  choiceOnItsWay({ id }) {
    return pendingPost(this.pendingPosts, "vote", ({ poll }) => poll === id)?.body.option ?? null;
  }

  /** Whether my hand goes up or down; null if it stays. @returns {boolean | null} */
  get handOnItsWay() {
    return pendingPost(this.pendingPosts, "hand", () => true)?.body.up ?? null;
  }

  /** @param {string} type @param {object} body @param {() => void} [unkept] */
  #post(type, body, unkept) {
    this.#await(this.gatewayRoom.post(body, { type }), unkept);
  }

  /** @param {Promise<unknown>} sent @param {() => void} [unkept] */
  #await(sent, unkept = () => this.dispatchEvent(new Event("unkept"))) {
    // A stored post that was refused later is still in the list, with its problem.
    sent.catch(({ code }) => code === "outbox_full" && unkept());
  }

  /** @param {string} type @param {any} body @param {() => void} [unkept] */
  #ask(type, body, unkept) {
    const id = uuid();
    this.#asked.add(id);
    const role = this.isHost ? /** @type {const} */ ("host") : /** @type {const} */ ("participant");
    const asked = { id, room: this.info.id, audience: /** @type {const} */ ("private"), role };
    const sent = this.gatewayRoom.ask(body, { type, id });
    this.#await(sent, unkept);
    sent.then(
      ({ seq, sent_at }) => this.keep({ ...asked, seq, sender: this.me, sent_at, type, body }),
      () => {},
    );
  }

  #postsChanged() {
    const now = this.pendingPosts.filter(({ audience }) => audience === "private").map(({ id }) => id);
    const gone = [...this.#privatePosts].filter((id) => !now.includes(id));
    this.#privatePosts = new Set(now);
    // An earlier page of the user has sent it and this one has taken it over, without seeing its answer.
    const adopted = gone.some((id) => !this.#asked.has(id));
    if (adopted && !this.isHost) this.readOwn().catch((problem) => this.refuse(problem));
    this.changed();
  }
}
