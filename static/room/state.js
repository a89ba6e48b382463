/**
 * A room's conversation, derived from its messages. Pure: `reduce(room, message)` returns the next state. Polls,
 * votes and hands are not here: they are the room's kept state (polls.js, select.js).
 *
 * Every message counts once, however often it comes. The two audiences have no common order, so
 * nothing here needs one: an answer may come before its question.
 */

import { readAnswer, readReference, readText } from "./bodies.js";
import { readPoll, readResult } from "./polls.js";

/** @typedef {import("./polls.js").Result} Result */

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
 * @property {string} [keep] the key under which it is kept
 * @property {number} [place] the seq at which it waited for approval
 * @property {unknown} body
 */

/**
 * `at`: where it stands, among the others' seqs: what was approved stands where it waited.
 * @typedef {{id: string, seq: number, at?: number, sender: string, sentAt: string, name?: string}} Origin
 */
/** @typedef {Origin & {text: string}} Question */

/**
 * One entry of the conversation, in the order of {@link placeOf}. `result` is a poll that has ended; `newest`: the seq of the
 * message that tells it as it is now. `isHidden`: hosts have hidden it, and see it all the same.
 * @typedef {Origin & {isHidden?: boolean} & (
 *   | {kind: "text", text: string}
 *   | {kind: "poll", question: string}
 *   | {kind: "result", result: Result, newest?: number}
 *   | {kind: "answer", text: string, question: string, quote: string}
 * )} Entry
 */

/**
 * `questions`: those that were asked without a key. `finished`: ids of questions that have been answered or set
 * aside by a message.
 * @typedef {object} Room
 * @property {ReadonlySet<string>} hosts
 * @property {readonly Entry[]} entries
 * @property {readonly Question[]} questions
 * @property {ReadonlySet<string>} finished
 */

/** @param {Iterable<string>} hosts known ones, for messages without a role @returns {Room} */
export function emptyRoom(hosts) {
  return { hosts: new Set(hosts), entries: [], questions: [], finished: new Set() };
}

/** @typedef {(room: Room, from: Origin, body: any) => Room} Step */

/** Types that count only from hosts. */
const HOSTS_ONLY = new Set(["poll", "poll-closed", "answer", "question-done"]);

const TALK = new Set(["message", "chat"]);

/** By audience and type. @type {Record<string, Record<string, Step>>} */
const STEPS = {
  public: {
    ...{ message: said, chat: said, poll: opened, "poll-closed": closed, answer: answered },
    deleted: (room, { seq }) => without(room, "entries", seq),
  },
  private: {
    deleted: (room, { seq }) => without(room, "questions", seq),
    message: asked,
    question: asked,
    "question-done": (room, _, body) => finish(room, readReference(body, "question")),
  },
};

/**
 * Unknown types, malformed bodies and instant messages change nothing. A kept question is in the kept state, and
 * not here.
 *
 * @param {Room} room
 * @param {Message} message
 * @returns {Room} the same object if nothing changed
 */
export function reduce(room, message) {
  const { id, audience, seq, sender, sent_at, type, body, keep, place } = message;
  const steps = STEPS[audience];
  if (seq === null || steps === undefined || !Object.hasOwn(steps, type)) return room;
  if (audience === "private" && keep !== undefined) return room;
  // What a participant keeps is no talk, and slow mode does not hold it up.
  if (TALK.has(type) && keep !== undefined && !wasHost(room, message)) return room;
  if (HOSTS_ONLY.has(type) && !wasHost(room, message)) return room;
  const shown = typeof message.name === "string" ? { name: message.name } : {};
  const at = Number.isSafeInteger(place) ? { at: Number(place) } : {};
  return steps[type](room, { id, seq, ...at, sender, sentAt: sent_at, ...shown }, body);
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
  return withEntry(room, { ...from, kind: "poll", question: poll.question });
}

/** @type {Step} */
function closed(room, from, body) {
  const result = readResult(body);
  if (result === null) return room;
  return withEntry(room, { ...from, kind: "result", result });
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

/** What stood at a seq was deleted by request. @param {Room} room @param {"entries" | "questions"} list @param {number} seq @returns {Room} */
function without(room, list, seq) {
  const left = room[list].filter((one) => one.seq !== seq);
  return left.length === room[list].length ? room : { ...room, [list]: left };
}

/** Where an entry stands. @param {Origin} entry */
export function placeOf({ seq, at }) {
  return at ?? seq;
}

/**
 * @template {Origin} T
 * @param {readonly T[]} list in the order of {@link placeOf}
 * @param {T} item
 * @returns {readonly T[]}
 */
function insert(list, item) {
  let index = list.length;
  const place = placeOf(item);
  while (index > 0 && placeOf(list[index - 1]) > place) index -= 1;
  if (index > 0 && placeOf(list[index - 1]) === place) return list;
  return [...list.slice(0, index), item, ...list.slice(index)];
}
