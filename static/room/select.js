/** Questions that a page asks about a room. Pure. */

/** @typedef {import("./state.js").Room} Room */
/** @typedef {import("./state.js").Poll} Poll */
/** @typedef {import("./state.js").Entry} Entry */
/** @typedef {import("./state.js").Hand} Hand */
/** @typedef {import("./state.js").Question} Question */

/** The poll that is being answered now: the newest that has not ended. @param {Room} room */
export function openPoll(room) {
  return room.polls.findLast(({ id }) => !room.finished.has(id)) ?? null;
}

/**
 * The votes for each option, as far as they are known here.
 *
 * @param {Room} room
 * @param {Poll} poll
 */
export function tally(room, poll) {
  const totals = poll.options.map(() => 0);
  for (const { option } of room.votes.get(poll.id)?.values() ?? []) {
    if (option < totals.length) totals[option] += 1;
  }
  return totals;
}

/** @param {Room} room @param {string} poll @param {string} user @returns {number | null} */
export function choiceOf(room, poll, user) {
  return room.votes.get(poll)?.get(user)?.option ?? null;
}

/** The hands that are up, the first one raised first. @param {Room} room @returns {Hand[]} */
export function raisedHands(room) {
  return [...room.hands.values()]
    .filter(({ id, up }) => up && !room.finished.has(id))
    .sort((one, other) => one.seq - other.seq);
}

/** @param {Room} room @param {string} user */
export function hasHandUp(room, user) {
  return raisedHands(room).some(({ sender }) => sender === user);
}

/** Questions that are still open. @param {Room} room @returns {Question[]} */
export function openQuestions(room) {
  return room.questions.filter(({ id }) => !room.finished.has(id));
}

/** Each option's part of all votes, 0 to 1. @param {readonly number[]} totals */
export function shares(totals) {
  const sum = totals.reduce((one, other) => one + other, 0);
  return totals.map((count) => (sum === 0 ? 0 : count / sum));
}

/**
 * The conversation as a participant reads it, with their own questions where they were asked.
 *
 * @param {readonly Entry[]} entries in the order of seq
 * @param {readonly Question[]} questions in the order of seq
 * @returns {(Entry | (Question & {kind: "question"}))[]}
 */
export function withQuestions(entries, questions) {
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

/** @param {Question} question */
function asEntry(question) {
  return /** @type {const} */ ({ ...question, kind: "question" });
}
