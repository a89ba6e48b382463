import { bytesOf, MOST_BYTES } from "../bodies.js";
import { sendRow } from "../view/send-row.js";
import { commitsOnly } from "../../shared/commit.js";
import { element } from "../../shared/element.js";
import { limited } from "../../shared/limit.js";

/** The most words of one person, the characters of one, and the different words of a result. */
const MOST_WORDS = 3;
const LONGEST_WORD = 40;
const MOST = 60;
/** The largest word is so many times as large as the smallest. */
const LARGEST = 3;

/** @param {unknown} value */
const isWord = (value) => typeof value === "string" && value.trim() !== "" && value.length <= LONGEST_WORD;

/** What counts as the same word. @param {string} word */
const same = (word) => word.trim().replace(/\s+/gu, " ").normalize("NFC").toLowerCase();

/** Up to three words each; a word is as large as it is frequent. @type {import("./kind.js").Kind} */
export const cloud = {
  isOneTap: false,
  isOpen: true,
  hasRight: false,
  empty: {},
  readAsk: () => ({}),
  readChoice(body) {
    const words = body?.words;
    const isSound =
      Array.isArray(words) && words.length > 0 && words.length <= MOST_WORDS && words.every(isWord);
    return isSound ? { words } : null;
  },
  readTotals(totals) {
    const isSound =
      Array.isArray(totals) &&
      totals.every(
        (one) => Array.isArray(one) && isWord(one[0]) && Number.isSafeInteger(one[1]) && one[1] > 0,
      );
    return isSound ? totals : null;
  },
  /** Words with their numbers, the most frequent first. A word stands as its first author wrote it. */
  count(choices) {
    /** @type {Map<string, [string, number]>} */
    const found = new Map();
    for (const { words } of choices) {
      for (const word of new Set(words.map(same))) {
        const written = words.find((/** @type {string} */ one) => same(one) === word).trim();
        const [shown, count] = found.get(word) ?? [written, 0];
        found.set(word, [shown, count + 1]);
      }
    }
    const words = [...found.values()].sort((one, other) => other[1] - one[1]).slice(0, MOST);
    while (bytesOf(words) > MOST_BYTES) words.pop();
    return words;
  },
  inWords: ({ words }) => words.join(", "),
  isRight: () => false,
  form: () => ({ root: element("div"), read: () => ({ ask: {}, right: [] }), show: () => {} }),
  ballot(i18n, _, { send, draft }) {
    let isTouched = false;
    let sent = "";
    const written = () => fields.map(({ value }) => value.trim()).filter(Boolean);
    const show = () =>
      row.update({ isComplete: isComplete(), isSent: written().join("\n") === sent });
    const isComplete = () => written().length > 0 && written().every(isWord);
    const fields = Array.from({ length: MOST_WORDS }, (_, place) => {
      const name = i18n.say("poll.word", { number: place + 1 });
      return element("input", {
        ...{ autocomplete: "off", dir: "auto" },
        ...{ "aria-label": name, placeholder: name },
        input: () => {
          isTouched = true;
          draft.keep(written().length > 0 ? written() : null);
          show();
        },
      });
    });
    const counters = fields.map((field) => limited(i18n, field, LONGEST_WORD).counter);
    const fill = (/** @type {readonly string[]} */ words) => {
      for (const [place, field] of fields.entries()) field.value = words[place] ?? "";
    };
    const kept = draft.read();
    if (cloud.readChoice({ words: kept }, null)) {
      fill(kept);
      isTouched = true;
    }
    const row = sendRow(i18n, () => {
      isTouched = false;
      draft.keep(null);
      send({ words: written() });
    });
    const form = element(
      "form",
      {
        class: "ask",
        keydown: commitsOnly,
        submit: (event) => {
          event.preventDefault();
          if (isComplete()) row.send();
        },
      },
      element("div", { class: "words" }, ...fields.flatMap((field, place) => [field, counters[place]])),
      row.root,
    );
    return {
      root: form,
      update(chosen) {
        sent = (chosen?.words ?? []).join("\n");
        if (!isTouched && !form.contains(document.activeElement)) fill(chosen?.words ?? []);
        show();
      },
    };
  },
  chart(i18n) {
    const root = element("ul", { class: "cloud" });
    let shown = "";
    return {
      root,
      update(tally) {
        const words = /** @type {[string, number][]} */ (tally?.totals ?? []);
        const now = JSON.stringify(words);
        if (now === shown) return;
        shown = now;
        const most = Math.max(...words.map(([, count]) => count), 2);
        root.replaceChildren(
          ...words.map(([word, count]) => {
            const item = element(
              "li",
              { dir: "auto" },
              word,
              element("span", { class: "hidden-text" }, i18n.say("poll.times", { count })),
            );
            item.style.setProperty("--size", `${1 + ((LARGEST - 1) * (count - 1)) / (most - 1)}`);
            return item;
          }),
        );
      },
    };
  },
};
