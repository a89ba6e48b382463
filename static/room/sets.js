/**
 * Prepared questions, in sets: for this lesson, the next class, a colleague. Pure.
 *
 * They are private entries of the room's kept state, `set:<set>` with the title and `set:<set>:<question>` each, so all
 * hosts of the room have them, on every device, and no participant does. Other rooms get them as a copy, other people as
 * a file.
 */

import { bytesOf, isLine, LONGEST_LINE } from "./bodies.js";
import { pollBody, readPoll, readSolution } from "./polls.js";

/** @typedef {import("./polls.js").Asked} Asked */
/** @typedef {import("./polls.js").Kept} Kept */
/** @typedef {import("./polls.js").Solution} Solution */

/** A question with how it is to be asked. @typedef {Asked & Solution & {seconds: number | null, hidden: boolean}} Prepared */
/** In the order of `place`. @typedef {{id: string, title: string, questions: readonly (Prepared & {id: string, place: number})[]}} QuestionSet */

/** The type of their messages. */
export const SET = "poll-set";
/** The most questions of a set, and the most bytes of one. */
export const MOST_QUESTIONS = 50;
const MOST_BYTES = 15_000;
/** The longest time, in seconds. */
const LONGEST = 24 * 60 * 60;
const PREFIX = "set:";

/** @param {string} set @param {string} [question] @returns {string} */
export function setKey(set, question) {
  return question === undefined ? `${PREFIX}${set}` : `${PREFIX}${set}:${question}`;
}

/** @param {any} body @returns {Prepared | null} */
export function readPrepared(body) {
  const asked = readPoll(body);
  if (asked === null) return null;
  const { seconds = null, hidden = false } = body;
  const isTime = seconds === null || (Number.isSafeInteger(seconds) && seconds > 0 && seconds <= LONGEST);
  if (!isTime || typeof hidden !== "boolean") return null;
  return { ...asked, ...readSolution(body), seconds, hidden };
}

/** @param {Prepared} question */
export function preparedBody({ right, explanation, seconds, hidden, ...asked }) {
  return { ...pollBody(asked), right, explanation, seconds, hidden };
}

/** Whether a question fits into a message. @param {Prepared} question */
export function fits(question) {
  return bytesOf(preparedBody(question)) <= MOST_BYTES;
}

/** The sets among the private entries, by title. @param {Iterable<Kept>} entries @returns {QuestionSet[]} */
export function setsOf(entries) {
  /** @type {Map<string, {title: string, questions: (Prepared & {id: string, place: number})[]}>} */
  const sets = new Map();
  for (const { key, author, message } of entries) {
    if (author !== null || !key.startsWith(PREFIX)) continue;
    const [set, id] = key.slice(PREFIX.length).split(":");
    const found = sets.get(set) ?? { title: "", questions: [] };
    sets.set(set, found);
    const { body } = message;
    const question = id === undefined ? null : readPrepared(body);
    if (id === undefined && isLine(body?.title)) found.title = body.title;
    if (question !== null) found.questions.push({ ...question, id, place: Number(body.place) || 0 });
  }
  const all = [...sets].map(([id, { title, questions }]) => ({
    ...{ id, title },
    questions: questions.sort((one, other) => one.place - other.place),
  }));
  return all.filter(({ title }) => title).sort((one, other) => one.title.localeCompare(other.title));
}

/** The content of a set's file. @param {Pick<QuestionSet, "title" | "questions">} set */
export function fileOf({ title, questions }) {
  return JSON.stringify({ title, questions: questions.map(({ id, place, ...one }) => preparedBody(one)) }, null, 2);
}

/**
 * The set in a file, without questions of kinds that this version does not know.
 *
 * @param {string} text
 * @returns {{title: string, questions: Prepared[]} | null} null if there are none
 */
export function readFile(text) {
  try {
    const { title, questions } = JSON.parse(text) ?? {};
    if (typeof title !== "string" || !title.trim() || !Array.isArray(questions)) return null;
    const known = questions.map(readPrepared).filter((question) => question !== null);
    const isGood = known.length > 0 && known.length <= MOST_QUESTIONS && known.every(fits);
    return isGood ? { title: title.trim().slice(0, LONGEST_LINE), questions: known } : null;
  } catch {
    // Not JSON (SyntaxError).
    return null;
  }
}
