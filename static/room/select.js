/** Questions that a page asks about a room. Pure. */

import { readText } from "./bodies.js";
import { placeOf } from "./state.js";

/** @typedef {import("../interact/types.js").Message} Message */
/** @typedef {import("./polls.js").Kept} Kept */
/** @typedef {import("./polls.js").RoomState} RoomState */
/** @typedef {import("./state.js").Room} Room */
/** @typedef {import("./state.js").Entry} Entry */
/** @typedef {import("./state.js").Origin} Origin */
/** @typedef {import("./state.js").Question} Question */

/** A raised hand; `sender` is its owner. @typedef {Origin} Hand */

const QUESTION = "question:";

/** The hands that are up, the first one raised first. @param {RoomState} state @returns {Hand[]} */
export function raisedHands({ private: kept }) {
  return [...kept.entries("hand")]
    .filter(({ key, author, message }) => key === "hand" && author !== null && message.body?.up === true)
    .map((entry) => origin(entry, entry.message.id))
    .sort(inOrder);
}

/** @param {RoomState} state @param {string} user */
export function hasHandUp(state, user) {
  return raisedHands(state).some(({ sender }) => sender === user);
}

/** Kept questions, in the order of seq: a host sees all, a participant their own. @param {RoomState} state @returns {Question[]} */
export function keptQuestions({ private: kept }) {
  return [...kept.entries(QUESTION)]
    .flatMap((entry) => {
      const text = entry.author === null ? null : readText(entry.message.body);
      return text === null ? [] : [{ ...origin(entry, entry.key.slice(QUESTION.length)), text }];
    })
    .sort(inOrder);
}

/** Questions that are still open, with those that were asked without a key. @param {RoomState} state @param {Room} room @returns {Question[]} */
export function openQuestions(state, { questions, finished }) {
  return [...keptQuestions(state), ...questions]
    .filter(({ id }) => !finished.has(id) && !state.private.get(`fate:${id}`))
    .sort(inOrder);
}

/**
 * The conversation as a participant reads it, with their own questions where they were asked.
 *
 * @template {Origin} T
 * @param {readonly T[]} entries in the order of seq
 * @param {readonly Question[]} questions in the order of seq
 * @returns {(T | (Question & {kind: "question"}))[]}
 */
export function withQuestions(entries, questions) {
  /** @type {(T | (Question & {kind: "question"}))[]} */
  const merged = [];
  let index = 0;
  for (const entry of entries) {
    // The two audiences have only the gateway's clock in common.
    while (index < questions.length && questions[index].sentAt < entry.sentAt) {
      merged.push(asEntry(questions[index]));
      index += 1;
    }
    merged.push(entry);
  }
  return [...merged, ...questions.slice(index).map(asEntry)];
}

/** What its author has said, and nobody else sees. @typedef {Origin & {kind: "waits", text: string, isRefused: boolean}} Waits */

/**
 * The conversation with what its reader has said and a host has not approved, where it was said.
 *
 * @template {Entry} T
 * @param {readonly T[]} entries in the order of {@link placeOf}
 * @param {{waiting: readonly Message[], refused: readonly Message[]}} approvals
 * @returns {readonly (T | Waits)[]}
 */
export function withWaiting(entries, { waiting, refused }) {
  const waits = (/** @type {boolean} */ isRefused) => (/** @type {Message} */ { id, seq, sender, sent_at, body }) => {
    const text = readText(body);
    const from = { id, seq: Number(seq), sender, sentAt: sent_at };
    return text === null ? [] : [/** @type {Waits} */ ({ ...from, kind: "waits", text, isRefused })];
  };
  const own = [...waiting.flatMap(waits(false)), ...refused.flatMap(waits(true))];
  if (own.length === 0) return entries;
  return [...entries, ...own].sort((one, other) => placeOf(one) - placeOf(other));
}

/**
 * The conversation with one result a poll: two hosts may end it, and a result may be hidden and shown again. It
 * stands where it was shown first, with what counts now.
 *
 * @param {readonly Entry[]} entries in the order of seq
 * @returns {readonly Entry[]}
 */
export function withOneResult(entries) {
  /** @type {Map<string, Pick<Extract<Entry, {kind: "result"}>, "result" | "seq">>} */
  const latest = new Map();
  for (const entry of entries) if (entry.kind === "result") latest.set(entry.result.poll, entry);
  /** @type {Entry[]} */
  const shown = [];
  for (const entry of entries) {
    if (entry.kind !== "result") shown.push(entry);
    else {
      const { poll } = entry.result;
      const last = latest.get(poll);
      if (last) shown.push({ ...entry, result: last.result, newest: last.seq });
      latest.delete(poll);
    }
  }
  return shown;
}

/**
 * What tells an entry from others, and from itself as it was before: a result may be told anew.
 *
 * @param {(Entry | Waits | (Question & {kind: "question"})) & {chosen?: any, isHidden?: boolean}} entry
 */
export function nameOf(entry) {
  if (entry.kind === "waits") return `${entry.id} ${entry.isRefused}`;
  if (entry.kind !== "result") return `${entry.id} ${entry.isHidden ?? ""}`;
  return `${entry.id} ${entry.newest ?? entry.seq} ${JSON.stringify(entry.chosen ?? null)}`;
}

/** Whether hosts have hidden a public message. @param {RoomState} state @param {{seq: number}} message */
export function isHidden({ public: kept }, { seq }) {
  return Boolean(kept.get(`hidden:${seq}`));
}

/** @param {Kept} entry @param {string} id @returns {Origin} */
function origin({ author, message }, id) {
  const { seq, sent_at, name } = message;
  const shown = typeof name === "string" ? { name } : {};
  return { id, seq: Number(seq), sender: String(author), sentAt: sent_at, ...shown };
}

/** @param {Origin} one @param {Origin} other */
function inOrder(one, other) {
  return one.seq - other.seq;
}

/** @param {Question} question */
function asEntry(question) {
  return /** @type {const} */ ({ ...question, kind: "question" });
}
