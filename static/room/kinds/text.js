import { bytesOf, isLine, LONGEST_LINE, MOST_BYTES } from "../bodies.js";
import { sendRow } from "../view/send-row.js";
import { element } from "../../shared/element.js";
import { limited } from "../../shared/limit.js";

/** An answer in one's own words. @type {import("./kind.js").Kind} */
export const text = {
  isOneTap: false,
  isOpen: true,
  hasRight: false,
  empty: {},
  readAsk: () => ({}),
  readChoice: (body) => (isLine(body?.text) ? { text: body.text } : null),
  readTotals: (totals) => (Array.isArray(totals) && totals.every((one) => isLine(one)) ? totals : null),
  /** The newest ones, oldest first, as many as fit into one message. */
  count(choices) {
    const texts = [];
    let bytes = 0;
    for (const { text } of [...choices].reverse()) {
      bytes += bytesOf(text) + 1;
      if (bytes > MOST_BYTES) break;
      texts.push(text);
    }
    return texts.reverse();
  },
  inWords: ({ text }) => text,
  isRight: () => false,
  form: () => ({ root: element("div"), read: () => ({ ask: {}, right: [] }), show: () => {} }),
  ballot(i18n, _, { send, draft }) {
    const field = element("textarea", {
      ...{ rows: "2", dir: "auto" },
      ...{ "aria-label": i18n.say("poll.yourAnswer"), placeholder: i18n.say("poll.yourAnswer") },
      input: () => {
        isTouched = true;
        draft.keep(field.value.trim() ? field.value : null);
        show();
      },
    });
    const { counter, check } = limited(i18n, field, LONGEST_LINE);
    let isTouched = false;
    let sent = "";
    const kept = draft.read();
    if (typeof kept === "string") {
      field.value = kept;
      check();
      isTouched = true;
    }
    const show = () => {
      const text = field.value.trim();
      row.update({ isComplete: isLine(text), isSent: text === sent });
    };
    const row = sendRow(i18n, () => {
      isTouched = false;
      draft.keep(null);
      send({ text: field.value.trim() });
    });
    return {
      root: element("div", { class: "ask" }, field, counter, row.root),
      update(chosen) {
        sent = chosen?.text ?? "";
        if (!isTouched && document.activeElement !== field) field.value = sent;
        show();
      },
    };
  },
  chart() {
    const root = element("ul", { class: "answers" });
    /** @type {readonly string[]} */
    let shown = [];
    return {
      root,
      update(tally) {
        const texts = /** @type {string[]} */ (tally?.totals ?? []);
        if (texts.length === shown.length && texts.every((one, place) => one === shown[place])) return;
        shown = texts;
        root.replaceChildren(...texts.map((one) => element("li", { dir: "auto" }, one)).reverse());
      },
    };
  },
};
