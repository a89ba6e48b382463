import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf } from "../../../static/room/bodies.js";
import { KINDS, kindNamed } from "../../../static/room/kinds/table.js";
import { ROOM_WORDS } from "../../../static/room/words.js";

const OPTIONS = { options: ["red", "green", "blue"] };
const SCALE = { from: 1, to: 5, low: "never", high: "always" };

/** By kind: a question, sound choices with their totals, and choices that do not fit. */
const EXAMPLES = {
  choice: {
    ask: OPTIONS,
    choices: [{ option: 0 }, { option: 2 }, { option: 2 }],
    totals: [1, 0, 2],
    words: "A · red",
    wrong: [{ option: 3 }, { option: -1 }, { option: 1.5 }, { option: "0" }],
  },
  several: {
    ask: OPTIONS,
    choices: [{ options: [0, 1] }, { options: [1] }],
    totals: [1, 2, 0],
    words: "A · red, B · green",
    wrong: [{ options: [] }, { options: [0, 0] }, { options: [3] }, { options: 0 }],
  },
  text: {
    ask: {},
    choices: [{ text: "because" }, { text: "엽록소" }],
    totals: ["because", "엽록소"],
    words: "because",
    wrong: [{ text: " " }, { text: "x".repeat(301) }, { text: 7 }],
  },
  cloud: {
    ask: {},
    choices: [{ words: ["Sun", "water"] }, { words: [" sun", "SUN"] }, { words: ["sun"] }],
    totals: [
      ["Sun", 3],
      ["water", 1],
    ],
    words: "Sun, water",
    wrong: [{ words: [] }, { words: ["a", "b", "c", "d"] }, { words: [""] }, { words: ["x".repeat(41)] }],
  },
  scale: {
    ask: SCALE,
    choices: [{ value: 1 }, { value: 5 }, { value: 5 }],
    totals: [1, 0, 0, 0, 2],
    words: "1",
    wrong: [{ value: 0 }, { value: 6 }, { value: 2.5 }, { value: "3" }],
  },
  ranking: {
    ask: OPTIONS,
    choices: [{ order: [2, 0, 1] }, { order: [2, 1, 0] }],
    totals: [3, 3, 6],
    words: "1. blue, 2. red, 3. green",
    wrong: [{ order: [0, 1] }, { order: [0, 1, 1] }, { order: [0, 1, 3] }, { order: "012" }],
  },
};

test("every kind has an example here, and a word in both languages", () => {
  assert.deepEqual(Object.keys(EXAMPLES).sort(), Object.keys(KINDS).sort());
  for (const words of Object.values(ROOM_WORDS)) {
    for (const name of Object.keys(KINDS)) assert.ok(words[`kind.${name}`], name);
  }
});

for (const [name, { ask, choices, totals, words, wrong }] of Object.entries(EXAMPLES)) {
  const kind = KINDS[name];

  test(`${name}: what was asked and answered is read as it was written`, () => {
    assert.deepEqual(kind.readAsk({ question: "?", ...ask }), ask);
    assert.equal(kind.inWords(choices[0], ask), words);
    for (const choice of choices) assert.deepEqual(kind.readChoice({ poll: "p", ...choice }, ask), choice);
    for (const choice of [...wrong, {}, null, 7, []]) {
      assert.equal(kind.readChoice(choice, ask), null, JSON.stringify(choice));
    }
  });

  test(`${name}: answers are counted, and the totals can be read`, () => {
    assert.deepEqual(kind.count(choices, ask), totals);
    assert.deepEqual(kind.readTotals(totals, ask), totals);
    assert.deepEqual(kind.readTotals(kind.count([], ask), ask), kind.count([], ask));
    for (const strange of [null, 7, {}, [-1], [{}], [["word", 0]], [1.5], [""]]) {
      assert.equal(kind.readTotals(strange, ask), null, JSON.stringify(strange));
    }
  });
}

test("a question with too few, too many or empty choices is none", () => {
  for (const kind of [KINDS.choice, KINDS.several, KINDS.ranking]) {
    for (const options of [["one"], Array(9).fill("x"), ["a", ""], ["a", 7], "ab", undefined]) {
      assert.equal(kind.readAsk({ options }), null);
    }
  }
});

test("a scale has two ends in order, and names of one line", () => {
  for (const wrong of [{ from: 5, to: 5 }, { from: 0, to: 11 }, { from: -1, to: 5 }, { low: 7 }, { high: "x".repeat(301) }]) {
    assert.equal(KINDS.scale.readAsk({ ...SCALE, ...wrong }), null, JSON.stringify(wrong));
  }
  assert.deepEqual(KINDS.scale.readAsk({ from: 0, to: 10 }), { from: 0, to: 10, low: "", high: "" });
});

test("a right answer is one of the right options, or all of them where several are chosen", () => {
  assert.equal(KINDS.choice.isRight({ option: 1 }, [1, 2]), true);
  assert.equal(KINDS.choice.isRight({ option: 0 }, [1, 2]), false);
  assert.equal(KINDS.several.isRight({ options: [2, 1] }, [1, 2]), true);
  assert.equal(KINDS.several.isRight({ options: [1] }, [1, 2]), false);
  assert.equal(KINDS.several.isRight({ options: [0, 1, 2] }, [1, 2]), false);
});

test("what all have written fits into one message: the newest texts, the most frequent words", () => {
  const texts = Array.from({ length: 200 }, (_, n) => ({ text: `${n} ${"가".repeat(100)}` }));
  const told = KINDS.text.count(texts, {});
  assert.ok(told.length > 10 && bytesOf(told) < 10_000);
  assert.equal(told.at(-1), texts.at(-1)?.text);
  const words = Array.from({ length: 200 }, (_, n) => ({ words: [`${n} ${"가".repeat(30)}`] }));
  const cloud = KINDS.cloud.count([...words, words[150]], {});
  assert.deepEqual(cloud[0], [words[150].words[0], 2]);
  assert.ok(bytesOf(cloud) < 10_000);
});

test("bytes are those of the stored JSON, in which other letters are escaped", () => {
  assert.equal(bytesOf("ab"), '"ab"'.length);
  assert.equal(bytesOf("가"), '"\\uac00"'.length);
  assert.equal(bytesOf("😀"), '"\\ud83d\\ude00"'.length);
});

test("a kind of a later version is not known, and the usual one need not be named", () => {
  assert.equal(kindNamed(undefined), KINDS.choice);
  for (const strange of ["hologram", "toString", null, 7]) assert.equal(kindNamed(strange), null);
});
