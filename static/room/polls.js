/**
 * Polls, as a room's kept state has them: what is asked, whether answers are taken, who has answered what. Pure.
 *
 * Whoever looks at the same entries sees the same; nothing depends on who saw which message first, or on who is
 * a host now.
 */

import { isId, isLine, isText, LONGEST_TEXT } from "./bodies.js";
import { kindNamed, USUAL } from "./kinds/table.js";

/** @typedef {import("./kinds/kind.js").Kind} Kind */
/** @typedef {import("./kinds/kind.js").Tally} Tally */
/** @typedef {import("../interact/types.js").Message} Message */

/** An entry of the kept state; `author` is null for the room's own entries. @typedef {{key: string, author: string | null, message: Message}} Kept */
/** What the pages use of the library's KeptState. @typedef {{get: (key: string, author?: string | null) => Message | null | undefined, entries: (prefix?: string) => Iterable<Kept>}} KeptState */
/** @typedef {{public: KeptState, private: KeptState}} RoomState */

/**
 * What a host asks. `named`: the hosts see who answered what, as all are told before they answer.
 * @typedef {{kind: string, question: string, ask: any, named: boolean}} Asked
 */

/** The right options, if there are any, and the reason, empty if none is given. @typedef {{right: number[], explanation: string}} Solution */

/** @typedef {Asked & Solution & Tally & {poll: string}} Result */

/**
 * - `open`: answers are taken
 * - `ended`: they are not taken any more (or not yet), and the result is not shown
 * - `shown`: the result is shown to everyone
 *
 * @typedef {"open" | "ended" | "shown"} Phase
 */

/**
 * `until`: milliseconds since 1970 after which no answer counts, by the gateway's clock. `hidden`: the wall does
 * not show how the answers stand.
 * @typedef {Asked & {id: string, seq: number, phase: Phase, until: number | null, hidden: boolean, result: Result | null}} Poll
 */

/** One person's answer. @typedef {{user: string, name?: string, choice: any}} Answer */

/** The keys of a poll's entries, and the types of their messages. */
export const KEYS = {
  poll: (/** @type {string} */ id) => `poll:${id}`,
  voting: (/** @type {string} */ id) => `voting:${id}`,
  result: (/** @type {string} */ id) => `result:${id}`,
  /** Private, because a pupil must not find it in a message before the result is shown. */
  solution: (/** @type {string} */ id) => `right:${id}`,
  vote: (/** @type {string} */ id) => `vote:${id}`,
};

/** @param {any} body @returns {Asked | null} */
export function readPoll(body) {
  const { kind = USUAL, question, named = false } = body ?? {};
  const ask = kindNamed(kind)?.readAsk(body) ?? null;
  const isSound = ask !== null && isLine(question) && typeof named === "boolean";
  return isSound ? { kind, question, ask, named } : null;
}

/** The message's body for what a host asks. @param {Asked} asked */
export function pollBody({ kind, question, ask, named }) {
  return { kind, question, ...ask, named };
}

/** @param {any} body @returns {Solution} an empty one if there is none */
export function readSolution(body) {
  const { right = [], explanation = "" } = body ?? {};
  const isSound = Array.isArray(right) && right.every((option) => Number.isSafeInteger(option));
  return {
    right: isSound ? right : [],
    explanation: isText(explanation, LONGEST_TEXT) ? explanation : "",
  };
}

/** @param {any} body @returns {Result | null} */
export function readResult(body) {
  const asked = readPoll(body);
  if (asked === null || !isId(body.poll)) return null;
  const totals = kindOf(asked).readTotals(body.totals, asked.ask);
  if (totals === null) return null;
  // Results of earlier versions have counts of options alone.
  const answers = body.answers ?? totals.reduce((/** @type {number} */ sum, /** @type {number} */ one) => sum + one, 0);
  if (!Number.isSafeInteger(answers) || answers < 0) return null;
  return { ...asked, ...readSolution(body), poll: body.poll, totals, answers };
}

/** @param {Poll} poll @param {Tally} tally @param {Solution} solution */
export function resultBody(poll, { totals, answers }, { right, explanation }) {
  return {
    ...{ poll: poll.id, ...pollBody(poll), totals, answers },
    ...(right.length > 0 ? { right } : {}),
    ...(explanation ? { explanation } : {}),
  };
}

/** @param {Pick<Asked, "kind">} asked that has been read @returns {Kind} */
export function kindOf({ kind }) {
  return /** @type {Kind} */ (kindNamed(kind));
}

/** The polls that stand, the newest last. @param {RoomState} state @returns {Poll[]} */
export function polls({ public: kept }) {
  const found = [...kept.entries("poll:")].flatMap(({ key, author, message }) => {
    const asked = author === null ? readPoll(message.body) : null;
    if (asked === null || message.seq === null) return [];
    const id = key.slice("poll:".length);
    const voting = kept.get(KEYS.voting(id))?.body ?? null;
    const result = readResult(kept.get(KEYS.result(id))?.body);
    const until = Date.parse(voting?.until ?? "");
    /** @type {Phase} */
    const phase = voting !== null ? "open" : result !== null ? "shown" : "ended";
    const poll = { ...asked, id, seq: message.seq, phase, result, hidden: voting?.hidden === true };
    return [{ ...poll, until: Number.isNaN(until) ? null : until }];
  });
  return found.sort((one, other) => one.seq - other.seq);
}

/** The newest poll that stands. @param {RoomState} state @returns {Poll | null} */
export function currentPoll(state) {
  return polls(state).at(-1) ?? null;
}

/** The newest poll whose result is not shown yet. @param {RoomState} state @returns {Poll | null} */
export function askedPoll(state) {
  return polls(state).findLast(({ phase }) => phase !== "shown") ?? null;
}

/** The newest result, also of a poll that stands no more. @param {RoomState} state @returns {Result | null} */
export function lastResult({ public: kept }) {
  const found = [...kept.entries("result:")].filter(({ author }) => author === null);
  found.sort((one, other) => Number(one.message.seq) - Number(other.message.seq));
  return readResult(found.at(-1)?.message.body);
}

/**
 * What is right, for hosts, who have it before the result.
 *
 * @param {RoomState} state
 * @param {string} id
 */
export function solutionOf({ private: kept }, id) {
  return readSolution(kept.get(KEYS.solution(id))?.body);
}

/**
 * The answers that count, in the order in which they were given: one a person, and none after the time was over.
 *
 * @param {RoomState} state
 * @param {Asked & Pick<Poll, "id" | "until">} poll
 * @returns {Answer[]}
 */
export function answersTo({ private: kept }, { id, kind, ask, until }) {
  const key = KEYS.vote(id);
  const found = [...kept.entries(key)].filter(
    (entry) => entry.key === key && entry.author !== null && !isLate(entry.message, until),
  );
  found.sort((one, other) => Number(one.message.seq) - Number(other.message.seq));
  return found.flatMap(({ author, message }) => {
    const choice = kindOf({ kind }).readChoice(message.body, ask);
    const shown = message.name === undefined ? {} : { name: message.name };
    return choice === null ? [] : [{ user: String(author), choice, ...shown }];
  });
}

/** @param {Asked} poll @param {readonly Answer[]} answers @returns {Tally} */
export function tallyOf(poll, answers) {
  const totals = kindOf(poll).count(
    answers.map(({ choice }) => choice),
    poll.ask,
  );
  return { totals, answers: answers.length };
}

/**
 * What a participant has answered: a choice, and whether it came too late to count. Null: nothing.
 *
 * @param {RoomState} state
 * @param {Asked & Pick<Poll, "id" | "until">} poll
 * @param {string} me
 * @returns {{choice: any, isLate: boolean} | null}
 */
export function ownAnswer({ private: kept }, { id, kind, ask, until }, me) {
  const message = kept.get(KEYS.vote(id), me) ?? null;
  const choice = message && kindOf({ kind }).readChoice(message.body, ask);
  return message && choice && { choice, isLate: isLate(message, until) };
}

/** Whether it was stored after the time was over: both are the gateway's times. @param {Message} message @param {number | null} until */
function isLate({ sent_at }, until) {
  return until !== null && Date.parse(sent_at) > until;
}
