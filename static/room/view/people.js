import { raisedHands } from "../select.js";
import { element, icon } from "../../shared/element.js";
import { keyed } from "./keyed.js";
import { who, whoInText } from "./who.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("../classroom.js").Present} Present */
/** @typedef {import("../select.js").Hand} Hand */

/** The raised hands, and who is present. @param {I18n} i18n @param {Classroom} classroom */
export function people(i18n, classroom) {
  const hands = element("ol", { class: "hands" });
  const noHands = element("p", { class: "soft" }, i18n.say("people.noHands"));
  const present = element("ul", { class: "present" });
  const alone = element("p", { class: "soft" }, i18n.say("people.alone"));
  const showHands = keyed(hands, {
    key: ({ id }) => id,
    make: (/** @type {Hand} */ hand) =>
      element(
        "li",
        {},
        icon("hand-palm"),
        element("strong", {}, ...who(hand.sender, hand.name)),
        element(
          "button",
          {
            type: "button",
            "aria-label": i18n.say("people.callOnWho", { user: whoInText(hand.sender, hand.name) }),
            click: () => classroom.callOn(hand),
          },
          i18n.say("people.callOn"),
        ),
      ),
  });
  const showPresent = keyed(present, {
    key: ({ user, role, name }) => `${role} ${user} ${name ?? ""}`,
    make: (/** @type {Present} */ { user, role, name }) => {
      const item = element("li", {}, ...who(user, name));
      if (role === "host") {
        item.append(element("span", { class: "mark of-host" }, i18n.say("role.host")));
      }
      return item;
    },
  });
  const root = element(
    "div",
    { class: "group" },
    element("h3", {}, i18n.say("people.hands")),
    element("div", { role: "log", "aria-label": i18n.say("people.hands") }, noHands, hands),
    element("h3", {}, i18n.say("people.present")),
    present,
    alone,
  );
  return {
    root,
    /** How many hands are up. */
    update() {
      const raised = raisedHands(classroom.state).filter(({ id }) => !classroom.isDealtWith(id));
      noHands.hidden = raised.length > 0;
      showHands(raised);
      showPresent(classroom.present);
      alone.hidden = classroom.present.length > 1;
      return raised.length;
    },
  };
}
