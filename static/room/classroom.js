import { uuid } from "../interact/identifier.js";
import { LiveRoom } from "./live-room.js";
import { pendingPost } from "./pending-posts.js";
import {
  answersTo,
  KEYS,
  kindOf,
  pollBody,
  polls,
  resultBody,
  solutionOf,
  tallyOf,
} from "./polls.js";
import { preparedBody, SET, setKey } from "./sets.js";

/** @typedef {import("../interact/types.js").PendingPost} PendingPost */
/** @typedef {import("../interact/types.js").Present} Present */
/** @typedef {import("./polls.js").Answer} Answer */
/** @typedef {import("./polls.js").Asked} Asked */
/** @typedef {import("./polls.js").Poll} Poll */
/** @typedef {import("./polls.js").Solution} Solution */
/** @typedef {import("./sets.js").Prepared} Prepared */
/** @typedef {import("./sets.js").QuestionSet} QuestionSet */
/** @typedef {import("./select.js").Hand} Hand */
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
/** Milliseconds after the end of a poll's time in which answers of others may still arrive. */
const ARRIVAL = 1_000;
/** The most entries of a kind that are kept, of the room and of one participant; all stay in the history. */
const MOST = { results: 100, fates: 1_000, votes: 60, questions: 300 };

const PRIVATE = /** @type {const} */ ({ audience: "private" });

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
  #clapped = 0;
  /** Polls that this page is ending. @type {Set<string>} */
  #ending = new Set();
  /** The poll, and its time, that this page has ended last because the time was over. */
  #endedInTime = "";

  /**
   * @param {ConstructorParameters<typeof LiveRoom>[0]} parts posts are sent even after the signal
   *   has ended the rest
   */
  constructor(parts) {
    super(parts);
    const { connection, signal } = parts;
    connection.addEventListener("state", () => this.changed(), { signal });
    this.gatewayRoom.addEventListener("waiting", () => this.changed(), { signal });
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
    const sent = this.#keep(`question:${uuid()}`, { text }, { ...PRIVATE, type: "question" }, unkept);
    this.#after(sent, () => this.#tidyOwn("question", MOST.questions));
  }

  /** Answer a poll, or answer it anew. @param {Pick<Poll, "id">} poll @param {any} choice */
  vote({ id }, choice) {
    const how = { ...PRIVATE, type: "vote", while: KEYS.voting(id) };
    const sent = this.#keep(KEYS.vote(id), { poll: id, ...choice }, how);
    this.#after(sent, () => this.#tidyOwn("vote", MOST.votes));
    // The answer that came too late when answers were taken before has its place taken by this one.
    for (const post of this.#refusedVotes(id)) this.forget(post);
  }

  /** @param {boolean} up */
  raiseHand(up) {
    this.#keep("hand", up ? { up } : null, { ...PRIVATE, type: "hand" });
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

  /**
   * Ask all, in place of the poll that stands.
   *
   * @param {Asked & Solution} asked
   * @param {{seconds: number | null, hidden: boolean}} how `seconds`: how long answers are taken; `hidden`: the
   *   wall does not show how they stand
   * @param {() => void} [unkept]
   */
  startPoll({ right, explanation, ...asked }, { seconds, hidden }, unkept) {
    for (const old of polls(this.state)) this.putAway(old);
    this.#tidyRoom();
    const id = uuid();
    if (right.length > 0 || explanation) {
      this.#keep(KEYS.solution(id), { right, explanation }, { ...PRIVATE, type: "poll-right" }, unkept);
    }
    const sent = this.#keep(KEYS.poll(id), pollBody(asked), { type: "poll" }, unkept);
    // The time runs from when the question is there: without a line that may be much later.
    this.#after(sent, () => this.#takeAnswers(id, hidden, seconds));
  }

  /** Take answers, or take them again. @param {Poll} poll @param {number | null} seconds */
  takeAnswers({ id, hidden }, seconds = null) {
    this.#takeAnswers(id, hidden, seconds);
  }

  /** Give more time. @param {Poll} poll @param {number} seconds */
  extend({ id, hidden, until }, seconds) {
    const from = Math.max(this.now, until ?? 0);
    const body = { until: new Date(from + seconds * 1000).toISOString(), hidden };
    this.#changeVoting(id, body);
  }

  /** Whether the wall shows how the answers stand. @param {Poll} poll @param {boolean} hidden */
  hideAnswers({ id, until }, hidden) {
    this.#changeVoting(id, { until: until && new Date(until).toISOString(), hidden });
  }

  /**
   * Take no more answers, and show the result unless it is hidden. Any number of hosts may do this at once.
   *
   * @param {Poll} poll
   */
  async endPoll(poll) {
    const { id, hidden } = poll;
    if (this.#ending.has(id)) return;
    this.#ending.add(id);
    try {
      await this.#keep(KEYS.voting(id), null, { type: "voting" });
      if (!hidden) await this.#showResult(poll);
    } catch (/** @type {any} */ problem) {
      // It is among the refused posts, or somebody else has sent a newer one.
      if (typeof problem.code !== "string") throw problem;
    } finally {
      this.#ending.delete(id);
      this.changed();
    }
  }

  /** End a poll whose time is over. @param {Poll} poll */
  endInTime(poll) {
    const { id, phase, until } = poll;
    if (phase !== "open" || until === null || this.now <= until + ARRIVAL) return;
    // Once: this is called with every change, and an end that is refused at once is one.
    if (this.#endedInTime === `${id} ${until}`) return;
    this.#endedInTime = `${id} ${until}`;
    this.run(this.endPoll(poll));
  }

  /** Show everyone the result of a poll that has ended. @param {Poll} poll */
  showResult(poll) {
    if (this.#ending.has(poll.id)) return;
    this.#ending.add(poll.id);
    const shown = this.#showResult(poll).finally(() => this.#ending.delete(poll.id));
    this.#after(shown, () => this.changed());
  }

  /** Take a poll from everybody's view; its result stays in the conversation. @param {Poll} poll */
  putAway({ id, phase }) {
    if (phase === "open") this.#keep(KEYS.voting(id), null, { type: "voting" });
    this.#keep(KEYS.poll(id), null, { type: "poll" });
    if (this.state.private.get(KEYS.solution(id))) {
      this.#keep(KEYS.solution(id), null, { ...PRIVATE, type: "poll-right" });
    }
  }

  /** Take somebody's answer away. @param {Poll} poll @param {Answer} answer */
  removeAnswer({ id }, { user }) {
    this.#keep(KEYS.vote(id), null, { ...PRIVATE, type: "vote", of: user });
  }

  /** @param {Pick<Question, "id" | "text">} question @param {string} text @param {() => void} [unkept] */
  answer({ id, text: quote }, text, unkept) {
    const sent = this.gatewayRoom.post({ text, question: id, quote }, { type: "answer" });
    this.#await(sent, unkept);
    // Only then, or a question would be done whose answer was refused.
    this.#after(sent, ({ seq }) => this.#decide(id, { answer: seq }));
  }

  /** @param {Pick<Question, "id">} question */
  setAside({ id }) {
    this.#decide(id, { done: true });
  }

  /** @param {Hand} hand */
  callOn({ id, sender }) {
    this.#keep("hand", null, { ...PRIVATE, type: "hand", of: sender });
    // Nothing private is sent to participants, so this tells them to look.
    this.#await(this.gatewayRoom.post({ hand: id }, { type: "hand-taken" }));
  }

  /** @param {PendingPost} post that was refused */
  forget({ id }) {
    this.gatewayRoom.forget(id);
  }

  /** Whether its end or its result is on its way. @param {Pick<Poll, "id">} poll */
  isEnding({ id }) {
    return (
      this.#ending.has(id) || pendingPost(this.pendingPosts, "poll-closed", (body) => body?.poll === id) !== null
    );
  }

  /** Whether the message that ends it is on its way. @param {string} id of a question or a hand */
  isDealtWith(id) {
    const names = (/** @type {any} */ body) => body?.question === id || body?.hand === id;
    return ["answer", "question-done", "hand-taken"].some(
      (type) => pendingPost(this.pendingPosts, type, names) !== null,
    );
  }

  /** The choice that is on its way. @param {Poll} poll @returns {any} null if there is none */
  choiceOnItsWay(poll) {
    const post = pendingPost(this.pendingPosts, "vote", (body) => body?.poll === poll.id);
    return post && kindOf(poll).readChoice(post.body, poll.ask);
  }

  /** Whether my answer was refused because none were taken any more. @param {Pick<Poll, "id">} poll */
  isTooLate({ id }) {
    return this.#refusedVotes(id).some(({ problem }) => problem?.code === "not_open");
  }

  /** Whether my hand goes up or down; null if it stays. @returns {boolean | null} */
  get handOnItsWay() {
    const post = pendingPost(this.pendingPosts, "hand", () => true);
    return post && post.body?.up === true;
  }

  /**
   * Make a set of prepared questions.
   *
   * @param {{title: string, questions: readonly Prepared[]}} set
   * @returns {string} its id
   */
  makeSet({ title, questions }) {
    const id = uuid();
    this.nameSet({ id, title });
    for (const [place, question] of questions.entries()) this.prepare(id, { ...question, place });
    return id;
  }

  /** @param {Pick<QuestionSet, "id" | "title">} set */
  nameSet({ id, title }) {
    this.#keep(setKey(id), { title }, { ...PRIVATE, type: SET });
  }

  /** @param {string} set @param {Prepared & {place: number, id?: string}} question without `id`: a new one */
  prepare(set, { id = uuid(), place, ...question }) {
    this.#keep(setKey(set, id), { place, ...preparedBody(question) }, { ...PRIVATE, type: SET });
  }

  /** @param {string} set @param {{id: string}} question */
  unprepare(set, { id }) {
    this.#keep(setKey(set, id), null, { ...PRIVATE, type: SET });
  }

  /** @param {QuestionSet} set */
  dropSet({ id, questions }) {
    for (const question of questions) this.unprepare(id, question);
    this.#keep(setKey(id), null, { ...PRIVATE, type: SET });
  }

  /** @param {Poll} poll */
  async #showResult(poll) {
    // Whatever was stored while answers were taken counts, also what has not come here yet.
    await this.look();
    const { state } = this;
    const tally = tallyOf(poll, answersTo(state, poll));
    const body = resultBody(poll, tally, solutionOf(state, poll.id));
    await this.#keep(KEYS.result(poll.id), body, { type: "poll-closed" });
  }

  /** @param {string} id @param {boolean} hidden @param {number | null} seconds */
  #takeAnswers(id, hidden, seconds) {
    const until = seconds === null ? null : new Date(this.now + seconds * 1000).toISOString();
    this.#keep(KEYS.voting(id), { until, hidden }, { type: "voting" });
  }

  /** Unless somebody else has ended it meanwhile: it would be open again. @param {string} id @param {object} body */
  #changeVoting(id, body) {
    this.#keep(KEYS.voting(id), body, { type: "voting", while: KEYS.voting(id) });
  }

  /** @param {string} id of a poll */
  #refusedVotes(id) {
    return this.pendingPosts.filter(
      ({ type, state, body }) =>
        type === "vote" && state === "refused" && /** @type {any} */ (body)?.poll === id,
    );
  }

  /** @param {string} question @param {object} fate */
  #decide(question, fate) {
    this.#keep(`fate:${question}`, { question, ...fate }, { ...PRIVATE, type: "question-done" });
  }

  /** The oldest results, and what came of the oldest questions, make room for new ones. */
  #tidyRoom() {
    const { public: all, private: hosts } = this.state;
    for (const { key } of [...all.entries("result:")].slice(0, -MOST.results)) {
      this.#keep(key, null, { type: "poll-closed" });
    }
    for (const { key } of [...hosts.entries("fate:")].slice(0, -MOST.fates)) {
      const question = key.replace("fate:", "question:");
      for (const { author } of [...hosts.entries(question)].filter((entry) => entry.key === question)) {
        if (author !== null) this.#keep(question, null, { ...PRIVATE, type: "question", of: author });
      }
      this.#keep(key, null, { ...PRIVATE, type: "question-done" });
    }
  }

  /** A participant's oldest entries make room for new ones. @param {"vote" | "question"} type @param {number} most */
  #tidyOwn(type, most) {
    if (this.isHost) return;
    const standing = new Set(polls(this.state).map(({ id }) => KEYS.vote(id)));
    for (const { key } of [...this.state.private.entries(`${type}:`)].slice(0, -most)) {
      if (!standing.has(key)) this.#keep(key, null, { ...PRIVATE, type });
    }
  }

  /**
   * @param {string} key
   * @param {unknown} body
   * @param {Parameters<import("../interact/room.js").Room["keep"]>[2]} how
   * @param {() => void} [unkept]
   */
  #keep(key, body, how, unkept) {
    const sent = this.gatewayRoom.keep(key, body, how);
    this.#await(sent, unkept);
    return sent;
  }

  /** Go on once a post is stored. @template T @param {Promise<T>} sent @param {(receipt: T) => void} next */
  #after(sent, next) {
    // A refused post is in the list of posts, with its problem.
    sent.then(next, () => {});
  }

  /** @param {Promise<unknown>} sent @param {() => void} [unkept] */
  #await(sent, unkept = () => this.dispatchEvent(new Event("unkept"))) {
    // A stored post that was refused later is still in the list, with its problem.
    sent.catch(({ code }) => code === "outbox_full" && unkept());
  }
}
