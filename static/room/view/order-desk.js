import { PACES } from "../order.js";
import { element, field } from "../../shared/element.js";
import { keyed } from "./keyed.js";
import { who, whoInText } from "./who.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("../../interact/types.js").Present} Present */
/** @typedef {import("../order.js").Order} Order */

/**
 * Where a host keeps order: whether and how often participants write to everyone, and who is muted.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 * @param {Order} order
 */
export function orderDesk(i18n, classroom, order) {
  const chat = element("input", {
    type: "checkbox",
    change: () => order.set({ chat: chat.checked }),
  });
  const approve = element("input", {
    type: "checkbox",
    change: () => order.set({ approve: approve.checked }),
  });
  const row = (/** @type {HTMLElement} */ box, /** @type {string} */ words) =>
    element("label", { class: "row" }, box, element("span", { class: "grow" }, i18n.say(words)));
  const pace = element(
    "select",
    { change: () => order.set({ slow: Number(pace.value) }) },
    ...PACES.map((seconds) => element("option", { value: `${seconds}` }, paceInWords(seconds))),
  );
  const person = (/** @type {boolean} */ isMuted) => (/** @type {Present} */ { user, name }) => {
    const key = isMuted ? "order.unmute" : "order.mute";
    const click = () => (isMuted ? order.unmute(user) : order.mute(user));
    const label = i18n.say(`${key}Who`, { user: whoInText(user, name) });
    return element(
      "li",
      {},
      element("span", { class: "grow" }, ...who(user, name)),
      element("button", { type: "button", "aria-label": label, click }, i18n.say(key)),
    );
  };
  const [free, muted] = [false, true].map((isMuted) => {
    const list = element("ul", { class: "order-list" });
    return { list, show: keyed(list, { key: ({ user }) => user, make: person(isMuted) }) };
  });
  const nobody = element("p", { class: "soft" }, i18n.say("order.nobody"));
  const root = element(
    "details",
    { class: "group" },
    element("summary", {}, i18n.say("order.title")),
    row(chat, "order.chat"),
    row(approve, "order.approve"),
    field(i18n.say("order.slow"), pace),
    element("h3", {}, i18n.say("order.muted")),
    nobody,
    muted.list,
    element("h3", {}, i18n.say("order.present")),
    free.list,
  );

  function paceInWords(/** @type {number} */ seconds) {
    if (seconds === 0) return i18n.say("order.asTheyLike");
    return i18n.say("order.onceIn", { time: i18n.duration(seconds) });
  }

  function update() {
    const { settings } = order;
    chat.checked = settings.chat;
    approve.checked = settings.approve;
    if (!PACES.includes(settings.slow) && pace.options.length === PACES.length) {
      pace.append(element("option", { value: `${settings.slow}` }, paceInWords(settings.slow)));
    }
    pace.value = `${settings.slow}`;
    const silent = new Set(order.muted);
    const names = new Map(classroom.present.map(({ user, name }) => [user, name]));
    nobody.hidden = silent.size > 0;
    muted.show([...silent].map((user) => /** @type {Present} */ ({ user, name: names.get(user) })));
    free.show(classroom.present.filter(({ user, role }) => role === "participant" && !silent.has(user)));
  }
  update();
  return { root, update };
}
