import { element } from "./element.js";

/** @typedef {import("../api-error.js").ApiError} ApiError */
/** @typedef {import("../i18n.js").I18n} I18n */
/** @typedef {import("../live.js").State} State */

/** Says how the page is connected. @param {I18n} i18n */
export function stateLine(i18n) {
  const line = element("p", { class: "state", role: "status" }, i18n.say("loading"));
  const tell = (/** @type {string} */ kind, /** @type {string} */ text) => {
    line.dataset.state = kind;
    line.textContent = text;
  };
  return {
    line,
    /** @param {State} state */
    live(state) {
      tell(state.name, describe(state, i18n));
    },
    /** @param {ApiError} problem */
    failed(problem) {
      tell(problem.passes ? "again" : "refused", i18n.explain(problem));
    },
    closed() {
      tell("closed", i18n.say("room.closed"));
    },
  };
}

/** @param {State} state @param {I18n} i18n */
function describe(state, i18n) {
  switch (state.name) {
    case "again":
      return i18n.say("live.again", {
        meaning: i18n.say(`closing.${state.meaning}`),
        code: state.end.closeCode,
      });
    case "refused": {
      const why = state.end.code ? i18n.explain(state.end) : i18n.say(`closing.${state.meaning}`);
      return i18n.say("live.refused", { why });
    }
    default:
      return i18n.say(`live.${state.name}`);
  }
}
