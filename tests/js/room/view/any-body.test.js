import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../interact/random.js";

/** As much of an element as charts and ballots use. */
class Element {
  children = [];
  dataset = {};
  value = "";
  classList = { toggle() {}, add() {} };
  style = { setProperty() {} };

  append(...children) {
    this.children.push(...children.filter((child) => child instanceof Element));
  }

  replaceChildren(...children) {
    this.children = [];
    this.append(...children);
  }

  insertBefore(child) {
    this.append(child);
  }

  contains() {
    return false;
  }

  setAttribute() {}
  removeAttribute() {}
  toggleAttribute() {}
  addEventListener() {}
  setCustomValidity() {}
}

globalThis.document = { createElement: () => new Element(), addEventListener() {}, activeElement: null };
const { KINDS } = await import("../../../../static/room/kinds/table.js");
const { readPoll, readResult } = await import("../../../../static/room/polls.js");
const { ROOM_WORDS } = await import("../../../../static/room/words.js");
const { I18n } = await import("../../../../static/shared/i18n.js");

const i18n = new I18n("en", ROOM_WORDS.en);
const random = seeded(7);
const one = (list) => list[Math.floor(random() * list.length)];
const many = (make) => Array.from({ length: Math.floor(random() * 4) }, make);

/** Any JSON. */
function any(depth = 0) {
  const leaf = () => one([null, true, 0, 1, -1, 2, 10, 0.5, 1e308, 2 ** 53, "", "a", "\ud800", "<b>", "x".repeat(301)]);
  if (depth > 2) return leaf();
  const next = () => any(depth + 1);
  return one([leaf, () => many(next), () => Object.fromEntries(many(() => [one(["a", "text", "length"]), next()]))])();
}

/** A body that is nearly one. */
function nearly() {
  const body = {
    ...{ kind: one(Object.keys(KINDS)), question: "why?", poll: "p", options: one([["a", "b"], ["a", "b", "c"]]) },
    ...{ from: one([0, 1]), to: one([3, 10]), low: "", high: "", named: true, answers: 3 },
    totals: one([[1, 2], [1, 2, 3], [["word", 1]], ["text"], [0, 1, 0], [0, 1, 0, 1]]),
    ...{ right: one([[0], [5, -1]]), explanation: "so" },
  };
  for (let n = Math.floor(random() * 3); n > 0; n -= 1) body[one(Object.keys(body))] = any();
  return body;
}

const choices = () => [
  any(),
  { option: 0, options: [1, 0], text: "text", words: ["a"], value: 1, order: [1, 0] },
  Object.fromEntries(["option", "options", "text", "words", "value", "order"].map((name) => [name, any()])),
];

test("whatever a program posts as a poll, an answer or a result, no view of it fails", () => {
  const drawn = { poll: 0, choice: 0, result: 0 };
  for (let n = 0; n < 4_000; n += 1) {
    const body = one([nearly, nearly, nearly, any])();
    const asked = readPoll(body);
    if (asked !== null) {
      drawn.poll += 1;
      const kind = KINDS[asked.kind];
      const chart = kind.chart(i18n, asked.ask);
      chart.update(null);
      const kept = any();
      const ballot = kind.ballot(i18n, asked.ask, { send() {}, draft: { read: () => kept, keep() {} } });
      const given = choices().flatMap((choice) => kind.readChoice(choice, asked.ask) ?? []);
      drawn.choice += given.length;
      for (const choice of [null, ...given]) ballot.update(choice);
      const tally = { totals: kind.count(given, asked.ask), answers: given.length };
      assert.notEqual(kind.readTotals(tally.totals, asked.ask), null, JSON.stringify(body));
      for (const mine of [undefined, ...given]) chart.update(tally, { mine, right: one([[], [0], [9, -1]]) });
      for (const choice of given) assert.equal(typeof kind.inWords(choice, asked.ask), "string");
    }
    const result = readResult(body);
    if (result !== null) {
      drawn.result += 1;
      KINDS[result.kind].chart(i18n, result.ask).update(result, { right: result.right });
    }
  }
  assert.ok(drawn.poll > 500 && drawn.choice > 500 && drawn.result > 100, JSON.stringify(drawn));
});
