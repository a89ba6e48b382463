/**
 * A room's state, derived from its messages. Pure: `reduce(room, message)` returns the next state.
 *
 * Every message counts once, however often it comes. The two audiences have no common order, so
 * nothing here needs one: a vote may come before its poll, an answer before its question.
 */

import {
  readAnswer,
  readClosing,
  readHand,
  readPoll,
  readReference,
  readText,
  readVote,
} from "./bodies.js";

/** @typedef {import("./bodies.js").PollBody} PollBody */

/**
 * A guaranteed message as the gateway delivers it.
 * @typedef {object} Message
 * @property {string} id
 * @property {"public" | "private"} audience
 * @property {number | null} seq
 * @property {string} sender
 * @property {string} [name] what is shown beside the sender's name
 * @property {"host" | "participant" | null} [role] the sender's role in the room then; null in messages that were
 *   stored before messages had it
 * @property {string} sent_at
 * @property {string} type
 * @property {unknown} body
 */

/** @typedef {{id: string, seq: number, sender: string, sentAt: string, name?: string}} Origin */
/** @typedef {Origin & PollBody} Poll */
/** @typedef {Origin & {text: string}} Question */
/** @typedef {Origin & {up: boolean}} Hand */
/** @typedef {Origin & {option: number}} Vote */

/**
 * One entry of the conversation, in the order of seq. `result` is a poll that has ended.
 * @typedef {Origin & (
 *   | {kind: "text", text: string}
 *   | {kind: "poll", question: string}
 *   | {kind: "result", poll: string, question: string, options: string[], totals: number[]}
 *   | {kind: "answer", text: string, question: string, quote: string}
 * )} Entry
 */

/**
 * `votes`: by poll, then by user. `hands`: by user. `finished`: ids of polls that have ended, of
 * questions that are done, and of hands that a host has called on.
 * @typedef {object} Room
 * @property {ReadonlySet<string>} hosts
 * @property {readonly Entry[]} entries
 * @property {readonly Poll[]} polls
 * @property {ReadonlyMap<string, ReadonlyMap<string, Vote>>} votes
 * @property {readonly Question[]} questions
 * @property {ReadonlyMap<string, Hand>} hands
 * @property {ReadonlySet<string>} finished
 */

/** @param {Iterable<string>} hosts known ones, for messages without a role @returns {Room} */
export function emptyRoom(hosts) {
  return {
    hosts: new Set(hosts),
    entries: [],
    polls: [],
    votes: new Map(),
    questions: [],
    hands: new Map(),
    finished: new Set(),
  };
}

/** @typedef {(room: Room, from: Origin, body: any) => Room} Step */

/** Types that count only from hosts. */
const HOSTS_ONLY = new Set(["poll", "poll-closed", "answer", "hand-taken", "question-done"]);

/** By audience and type. @type {Record<string, Record<string, Step>>} */
const STEPS = {
  public: {
    message: said,
    chat: said,
    poll: opened,
    "poll-closed": closed,
    answer: answered,
    "hand-taken": (room, _, body) => finish(room, readReference(body, "hand")),
  },
  private: {
    message: asked,
    question: asked,
    vote: voted,
    hand: raised,
    "question-done": (room, _, body) => finish(room, readReference(body, "question")),
  },
};

/**
 * Unknown types, malformed bodies and instant messages change nothing.
 *
 * @param {Room} room
 * @param {Message} message
 * @returns {Room} the same object if nothing changed
 */
export function reduce(room, message) {
  const { id, audience, seq, sender, sent_at, type, body } = message;
  const steps = STEPS[audience];
  if (seq === null || steps === undefined || !Object.hasOwn(steps, type)) return room;
  if (HOSTS_ONLY.has(type) && !wasHost(room, message)) return room;
  const shown = typeof message.name === "string" ? { name: message.name } : {};
  return steps[type](room, { id, seq, sender, sentAt: sent_at, ...shown }, body);
}

/** Whether the sender was a host then; their role now does not matter. @param {Room} room @param {Message} message */
function wasHost({ hosts }, { role, sender }) {
  return role ? role === "host" : hosts.has(sender);
}

/** @type {Step} */
function said(room, from, body) {
  const text = readText(body);
  return text === null ? room : withEntry(room, { ...from, kind: "text", text });
}

/** @type {Step} */
function opened(room, from, body) {
  const poll = readPoll(body);
  if (poll === null) return room;
  const polls = insert(room.polls, { ...from, ...poll });
  return withEntry({ ...room, polls }, { ...from, kind: "poll", question: poll.question });
}

/** Of two hosts who end a poll, the first one has ended it. @type {Step} */
function closed(room, from, body) {
  const closing = readClosing(body);
  if (closing === null || room.finished.has(closing.poll)) return room;
  return withEntry(finish(room, closing.poll), { ...from, kind: "result", ...closing });
}

/** @type {Step} */
function answered(room, from, body) {
  const answer = readAnswer(body);
  if (answer === null) return room;
  return withEntry(finish(room, answer.question), { ...from, kind: "answer", ...answer });
}

/** @type {Step} */
function asked(room, from, body) {
  const text = readText(body);
  if (text === null) return room;
  const questions = insert(room.questions, { ...from, text });
  return questions === room.questions ? room : { ...room, questions };
}

/** @type {Step} */
function voted(room, from, body) {
  const vote = readVote(body);
  if (vote === null) return room;
  const votes = room.votes.get(vote.poll) ?? new Map();
  const latest = keepLatest(votes, { ...from, option: vote.option });
  return latest === votes ? room : { ...room, votes: new Map(room.votes).set(vote.poll, latest) };
}

/** @type {Step} */
function raised(room, from, body) {
  const up = readHand(body);
  if (up === null) return room;
  const hands = keepLatest(room.hands, { ...from, up });
  return hands === room.hands ? room : { ...room, hands };
}

/** @param {Room} room @param {string | null} id @returns {Room} */
function finish(room, id) {
  if (id === null || room.finished.has(id)) return room;
  return { ...room, finished: new Set(room.finished).add(id) };
}

/** @param {Room} room @param {Entry} entry @returns {Room} */
function withEntry(room, entry) {
  const entries = insert(room.entries, entry);
  return entries === room.entries ? room : { ...room, entries };
}

/**
 * @template {Origin} T
 * @param {readonly T[]} list in the order of seq
 * @param {T} item
 * @returns {readonly T[]}
 */
function insert(list, item) {
  let index = list.length;
  while (index > 0 && list[index - 1].seq > item.seq) index -= 1;
  if (index > 0 && list[index - 1].seq === item.seq) return list;
  return [...list.slice(0, index), item, ...list.slice(index)];
}

/**
 * @template {Origin} T
 * @param {ReadonlyMap<string, T>} byUser
 * @param {T} item
 * @returns {ReadonlyMap<string, T>}
 */
function keepLatest(byUser, item) {
  const known = byUser.get(item.sender);
  if (known !== undefined && known.seq >= item.seq) return byUser;
  return new Map(byUser).set(item.sender, item);
}
