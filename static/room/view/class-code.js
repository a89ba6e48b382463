import { PATH } from "../../interact/gateway-address.js";
import { Problem } from "../../interact/index.js";
import { spelled } from "../class-code.js";
import { isolated } from "../../shared/bidi.js";
import { element, field, icon, iconButton } from "../../shared/element.js";
import { qrCode } from "../../shared/qr.js";
import { keyed } from "./keyed.js";

/** @typedef {import("../main.js").Context} Context */
/** @typedef {{code: string, url: string, guests: "no" | "knock" | "yes"}} ClassCode */
/** @typedef {{number: number, name: string}} Knock */

const GUESTS = ["no", "knock", "yes"];
/** Milliseconds between two looks: at the code that another page may have changed, and at the door. */
const LOOK = 8_000;
const LOOK_AT_DOOR = 3_000;
/** Milliseconds for which a second press counts. */
const SURE = 4_000;

/**
 * A room's class code, as its hosts' pages know it.
 *
 * @param {Context} context
 * @param {number} room
 * @param {{isClosed: boolean, signal: AbortSignal}} how nobody comes into a closed room; the signal ends it
 */
export function classCode(context, room, { isClosed, signal }) {
  const { connection } = context;
  const path = `/api/rooms/${room}/code`;
  /** @type {Set<() => void>} */
  const listeners = new Set();
  /** @type {ClassCode | null} */
  let now = null;
  const learn = (/** @type {ClassCode | null} */ code) => {
    const isNew = JSON.stringify(code) !== JSON.stringify(now);
    now = code;
    if (isNew) for (const listener of listeners) listener();
  };
  const look = async () => {
    try {
      learn((await connection.call("GET", path)) ?? null);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // Otherwise what is known counts until the line is back. Of a room without a code, the version before 0.2 says
      // `unknown_code`.
      if (["unknown_code", "room_closed", "access_refused"].includes(error.code)) learn(null);
    }
  };
  const follow = async () => {
    while (!signal.aborted) {
      await look();
      await context.nap(LOOK, signal);
    }
  };
  if (!isClosed) context.run(follow(), signal, () => {});
  return {
    isClosed,
    get now() {
      return now;
    },
    get address() {
      return now && new URL(now.url, location.href).href;
    },
    /** @param {() => void} listener */
    listen(listener) {
      listeners.add(listener);
      listener();
    },
    /** @param {{guests: string, renew?: boolean}} wanted */
    async make(wanted) {
      learn(await connection.call("POST", path, wanted));
    },
    /** @param {boolean} sendAway whether the guests have to leave */
    async withdraw(sendAway) {
      await connection.call("DELETE", sendAway ? `${path}?guests=end` : path);
      learn(null);
    },
  };
}

/**
 * How one comes in by the code: its picture, its letters, and where to type them. Nothing without a code.
 *
 * @param {import("../../shared/i18n.js").I18n} i18n
 * @param {ReturnType<typeof classCode>} code
 * @returns {HTMLElement[]}
 */
export function codeParts(i18n, code) {
  if (code.now === null || code.address === null) return [];
  return [
    qrCode(code.address, i18n.say("share.code")),
    element("strong", { class: "letters" }, spelled(code.now.code)),
    element("span", { class: "soft" }, `${location.host}${PATH}/j/`),
  ];
}

/** A host's choice who comes in by a code. @param {Context} context @param {ReturnType<typeof classCode>} code */
export function codePanel({ i18n }, code) {
  const problem = element("p", { role: "alert", class: "problem" });
  const attempt = async (/** @type {() => Promise<void>} */ act) => {
    problem.textContent = "";
    try {
      await act();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.textContent = i18n.explain(error);
      update();
    }
  };
  const guests = element(
    "select",
    // Before there is a code, a choice is not yet a deed.
    { change: () => code.now && attempt(() => code.make({ guests: guests.value })) },
    ...GUESTS.map((value) => element("option", { value }, i18n.say(`code.guests.${value}`))),
  );
  const make = element(
    "button",
    { type: "button", class: "primary", click: () => attempt(() => code.make({ guests: guests.value })) },
    i18n.say("code.make"),
  );
  const letters = element("p", { class: "letters" });
  const press = (/** @type {string} */ key, /** @type {() => Promise<void>} */ act) =>
    pressedTwice(i18n, i18n.say(key), () => attempt(act));
  const acts = element(
    "div",
    { class: "row" },
    press("code.renew", () => code.make({ guests: guests.value, renew: true })),
    press("code.withdraw", () => code.withdraw(false)),
    press("code.sendAway", () => code.withdraw(true)),
  );
  const root = element(
    "section",
    { class: "class-code-panel", "aria-label": i18n.say("code.title") },
    ...[letters, field(i18n.say("code.guests"), guests), make, acts, problem],
  );
  const update = () => {
    const { now } = code;
    letters.textContent = now ? spelled(now.code) : "";
    const held = document.activeElement;
    letters.hidden = acts.hidden = now === null;
    make.hidden = now !== null;
    // The button that was pressed may have gone.
    if ([make, acts].some((one) => one.hidden && one.contains(held))) guests.focus();
    if (now) guests.value = now.guests;
  };
  code.listen(update);
  return root;
}

/**
 * Those who wait at the door, for a host.
 *
 * @param {Context} context
 * @param {number} room
 * @param {ReturnType<typeof classCode>} code
 * @param {AbortSignal} signal ends it
 */
export function doorBell(context, room, code, signal) {
  const { i18n, connection } = context;
  const path = `/api/rooms/${room}/knocks`;
  const count = element("strong", {});
  const list = element("ul");
  const answer = async (/** @type {object} */ body) => {
    try {
      await connection.call("POST", path, body);
      await look();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      count.textContent = i18n.explain(error);
    }
  };
  const all = element(
    "button",
    { type: "button", class: "primary", click: () => answer({ admit: "all" }) },
    i18n.say("door.admitAll"),
  );
  const root = element(
    "section",
    { class: "door", role: "status", "aria-label": i18n.say("door.title"), hidden: true },
    element("div", { class: "row" }, count, all),
    list,
  );
  // Whoever works with the keyboard keeps their place while others come.
  const fill = keyed(list, {
    key: ({ number, name }) => JSON.stringify([number, name]),
    make: (/** @type {Knock} */ { number, name }) =>
      element(
        "li",
        {},
        element("bdi", { class: "grow" }, name),
        element(
          "button",
          {
            type: "button",
            "aria-label": `${i18n.say("door.admit")}: ${isolated(name)}`,
            click: () => answer({ admit: [number] }),
          },
          i18n.say("door.admit"),
        ),
        iconButton("x", i18n.say("door.refuse", { name }), { click: () => answer({ refuse: [number] }) }),
      ),
  });
  let shown = "";
  const show = (/** @type {Knock[]} */ knocks) => {
    root.hidden = knocks.length === 0;
    if (shown === JSON.stringify(knocks)) return;
    shown = JSON.stringify(knocks);
    count.textContent = i18n.say("door.waiting", { count: knocks.length });
    fill(knocks);
  };
  const look = async () => {
    const { knocks } = await connection.call("GET", path);
    show(knocks);
  };
  const follow = async () => {
    for (; !signal.aborted; await context.nap(LOOK_AT_DOOR, signal)) {
      if (code.now?.guests !== "knock") {
        show([]);
        continue;
      }
      try {
        await look();
      } catch (error) {
        // The next look shows more.
        if (!(error instanceof Problem)) throw error;
      }
    }
  };
  context.run(follow(), signal, () => {});
  return root;
}

/**
 * A button whose press counts only when it is pressed again, for what cannot be undone.
 *
 * @param {import("../../shared/i18n.js").I18n} i18n
 * @param {string} label
 * @param {() => void} act
 * @param {{asked?: boolean, calm?: () => void}} how whether the first press was another button's, and what happens
 *   when the second one does not come
 */
export function pressedTwice(i18n, label, act, { asked = false, calm = () => {} } = {}) {
  let isSure = false;
  const ask = (/** @type {boolean} */ again) => {
    isSure = again;
    button.classList.toggle("asks", again);
  };
  // As wide as the longer words from the start: what moved under the second press would be another button.
  const button = element(
    "button",
    { type: "button", class: "twice" },
    element("span", {}, label),
    element("span", {}, i18n.say("code.sure")),
  );
  button.addEventListener("click", () => {
    if (isSure) {
      ask(false);
      act();
      return;
    }
    askFirst();
  });
  const askFirst = () => {
    ask(true);
    setTimeout(() => {
      if (!isSure) return;
      ask(false);
      calm();
    }, SURE);
  };
  if (asked) askFirst();
  return button;
}
