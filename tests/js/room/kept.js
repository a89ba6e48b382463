import { KeptFold } from "../../../static/interact/kept-fold.js";

/** The kept state after some messages, as the library has it. @param {...any} messages */
export function stateOf(...messages) {
  const state = { public: whole(), private: whole() };
  for (const message of messages) state[message.audience].take(message);
  return state;
}

function whole() {
  const fold = new KeptFold();
  fold.begin();
  fold.read({ state: [], seq: 0, whole: true, complete: true });
  return fold;
}
