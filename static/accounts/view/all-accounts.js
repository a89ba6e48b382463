import { Problem } from "../../interact/problem.js";
import { pager } from "../../admin/view/pager.js";
import { NARROW, table } from "../../admin/view/rows.js";
import { element, field } from "../../shared/element.js";
import { rolesInWords } from "./roles.js";

/** @typedef {import("../api.js").Account} Account */
/** @typedef {import("../main.js").Context} Context */
/** @typedef {"password" | "out" | "disable" | "enable" | "remove"} Act */

/** Rows per page, on a wide screen and on a phone. */
const SIZE = { wide: "50", narrow: "10" };
/** Milliseconds after the last key. */
const TYPING = 250;

/**
 * All accounts, a page at a time, with what can be done about each.
 *
 * @param {Context} context
 * @param {{made: (slips: import("../api.js").Slip[]) => void}} listener
 */
export function allAccounts({ api, i18n, ask, me }, { made }) {
  let asked = 0;
  let typing = 0;

  const search = element("input", {
    ...{ type: "search", dir: "auto", autocomplete: "off" },
    input: () => {
      clearTimeout(typing);
      typing = setTimeout(anew, TYPING);
    },
  });
  const count = element("p", { role: "status", class: "soft" });
  const problem = element("p", { role: "alert", class: "problem" });
  const pages = pager(i18n, {
    words: "list",
    turned: async () => {
      await refresh();
      section.scrollIntoView({ block: "start" });
    },
  });

  /** @type {Record<Act, (user: string) => Promise<import("../../admin/api.js").Done>>} */
  const ACTS = {
    password: async (user) => {
      made([await api.newPassword(user)]);
      return { done: {}, missing: {} };
    },
    out: (user) => api.logOut(user),
    disable: (user) => api.disable(user),
    enable: (user) => api.enable(user),
    remove: (user) => api.remove(user),
  };

  /** @param {Act} act @param {string} user */
  const button = (act, user) =>
    element(
      "button",
      {
        type: "button",
        "aria-label": i18n.say(`act.${act}Of`, { user }),
        click: () =>
          ask({
            question: i18n.say(`ask.${act}`, { user }),
            note: i18n.say(`ask.${act}Note`),
            button: i18n.say(`act.${act}`),
            act: async () => {
              const done = await ACTS[act](user);
              await refresh();
              return done;
            },
            told: () => i18n.say(`done.${act}`, { user }),
          }),
      },
      i18n.say(`act.${act}`),
    );

  const grid = table({
    caption: i18n.say("list.title"),
    empty: i18n.say("list.none"),
    key: (/** @type {Account} */ { user }) => user,
    columns: [
      {
        label: i18n.say("entry.user"),
        cell: ({ user, kept_out_until }) => [
          element("strong", {}, element("bdi", {}, user)),
          ...(user === me() ? [" ", element("span", { class: "mark" }, i18n.say("list.own"))] : []),
          ...(kept_out_until ? [" ", disabledMark(kept_out_until)] : []),
        ],
      },
      { label: i18n.say("entry.name"), cell: ({ name }) => [element("bdi", {}, name ?? "–")] },
      { label: i18n.say("entry.roles"), cell: ({ roles }) => [rolesInWords(i18n, roles)] },
      { label: i18n.say("list.sessions"), kind: "name", cell: ({ sessions }) => [devices(sessions)] },
      {
        label: i18n.say("list.actions"),
        kind: "action",
        // Nobody locks themselves out by a slip of the hand.
        cell: ({ user, sessions, kept_out_until }) => [
          button("password", user),
          ...(user === me()
            ? []
            : [
                ...(sessions ? [button("out", user)] : []),
                button(kept_out_until ? "enable" : "disable", user),
                button("remove", user),
              ]),
        ],
      },
    ],
  });

  /** @param {number} sessions */
  const devices = (sessions) => {
    if (sessions === 0) return i18n.say("list.sessions.no");
    return i18n.say(sessions === 1 ? "list.sessions.once" : "list.sessions.times", { count: sessions });
  };

  /** @param {string} until */
  const disabledMark = (until) => {
    const time = i18n.time(new Date(until), new Date());
    return element("span", { class: "state", "data-state": "out" }, i18n.say("list.disabled", { time }));
  };

  const anew = () => {
    pages.begin();
    return refresh();
  };

  const refresh = async () => {
    const number = ++asked;
    const size = NARROW.matches ? SIZE.narrow : SIZE.wide;
    try {
      const page = await api.page({ search: search.value, size, ...pages.query });
      if (number === asked) show(page);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (number === asked) problem.textContent = i18n.explain(error);
    }
  };

  /** @param {import("../api.js").Page} page */
  const show = ({ accounts, matching, total, next: cursor }) => {
    problem.textContent = "";
    const told = i18n.say("list.count", { matching: i18n.number(matching), total: i18n.number(total) });
    if (count.textContent !== told) count.textContent = told;
    pages.shown(cursor);
    grid.show(accounts);
  };

  const section = element(
    "section",
    { "aria-labelledby": "list-title" },
    element(
      "div",
      { class: "row" },
      element("h2", { id: "list-title", class: "grow" }, i18n.say("list.title")),
      count,
    ),
    field(i18n.say("list.search"), search, i18n.say("list.hint")),
    problem,
    grid.frame,
    pages.row,
  );
  return { section, refresh };
}
