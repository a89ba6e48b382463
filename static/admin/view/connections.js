import { Problem } from "../../interact/problem.js";
import { bdi, element, field } from "../../shared/element.js";
import { subjectLink } from "../subject.js";
import { pager } from "./pager.js";
import { NARROW, table } from "./rows.js";

/** @typedef {import("../api.js").Connection} Connection */
/** @typedef {import("../api.js").Page} Page */
/** @typedef {import("../main.js").Context} Context */

/** Rows per page, on a wide screen and on a phone. */
const SIZE = { wide: "25", narrow: "10" };
const SORTS = [
  "since",
  "user",
  "address",
  "node",
  "frames_in",
  "frames_out",
  "bytes_in",
  "bytes_out",
  "backlog",
  "heard_at",
  "expires_at",
];

/**
 * All gateways' connections, a page at a time; the gateways search, sort and cut pages. With a `subject`
 * it is searched for that alone.
 *
 * @param {Context} context
 * @param {string} [subject]
 */
export function connectionsTable({ i18n, format, api, ask, orders: ordersAllowed }, subject) {
  let sort = "since";
  /** @type {"ascending" | "descending"} */
  let order = "descending";
  let asked = 0;
  let busy = false;
  /** The gateways' time, in milliseconds. */
  let now = Date.now();

  const search = element("input", { type: "search", dir: "auto", autocomplete: "off", input: () => anew() });
  const sorts = element(
    "select",
    { change: () => anew(sorts.value) },
    ...SORTS.map((name) => element("option", { value: name }, i18n.say(`connections.${name}`))),
  );
  const orders = element(
    "select",
    { change: () => anew(sort, /** @type {any} */ (orders.value)) },
    ...["descending", "ascending"].map((name) =>
      element("option", { value: name }, i18n.say(`connections.${name}`)),
    ),
  );
  const count = element("p", { role: "status", class: "soft" });
  const problem = element("p", { role: "alert", class: "problem" });
  const pages = pager(i18n, {
    words: "connections",
    turned: () => {
      refresh(true);
      grid.frame.scrollIntoView({ block: "nearest" });
    },
  });

  /** @param {string} moment */
  const age = (moment) => format.span((now - Date.parse(moment)) / 1000);

  /** @param {string} column @param {string} label */
  const sorter = (column, label) =>
    element(
      "button",
      {
        type: "button",
        class: "sort",
        "data-sort": column,
        click: () =>
          anew(column, sort === column && order === "descending" ? "ascending" : "descending"),
      },
      label,
    );

  /** @param {number} frames @param {number} bytes */
  const traffic = (frames, bytes) => [
    element("span", {}, format.bytes(bytes)),
    " ",
    element("small", {}, i18n.say("connections.frames", { count: format.count(frames) })),
  ];

  /** @param {string} name @param {string} [by] what it is sorted by */
  const head = (name, by = name) => {
    const label = i18n.say(`connections.${name}`);
    return { label, head: sorter(by, label) };
  };
  const grid = table({
    caption: i18n.say("connections.title"),
    empty: i18n.say("connections.none"),
    key: (/** @type {Connection} */ row) => `${row.gateway} ${row.id}`,
    columns: [
      {
        ...head("user"),
        cell: ({ user }) => [
          user === null
            ? element("em", { class: "soft" }, i18n.say("connections.unknown"))
            : element("strong", {}, subjectLink("user", user)),
        ],
      },
      { label: i18n.say("connections.rooms"), cell: ({ rooms }) => roomLinks(rooms) },
      { ...head("address"), cell: ({ address }) => [bdi(address)] },
      { label: i18n.say("connections.gateway"), kind: "name", cell: ({ gateway }) => [bdi(gateway)] },
      { ...head("node"), kind: "name", cell: ({ node }) => [node ? bdi(node) : i18n.say("connections.hub")] },
      {
        ...head("since"),
        kind: "name",
        cell: ({ since, id }) => [subjectLink("connection", id, age(since))],
      },
      {
        ...head("in", "bytes_in"),
        kind: "number",
        cell: ({ frames_in, bytes_in }) => traffic(frames_in, bytes_in),
      },
      {
        ...head("out", "bytes_out"),
        kind: "number",
        cell: ({ frames_out, bytes_out }) => traffic(frames_out, bytes_out),
      },
      { ...head("backlog"), kind: "number", cell: ({ backlog }) => [format.bytes(backlog)] },
      {
        ...head("heard_at"),
        kind: "name",
        cell: ({ heard_at }) => [i18n.say("connections.ago", { span: age(heard_at) })],
      },
      {
        ...head("expires_at"),
        kind: "name",
        cell: ({ expires_at }) => [
          expires_at === null
            ? "–"
            : i18n.say("connections.in_span", {
                span: format.span((Date.parse(expires_at) - now) / 1000),
              }),
        ],
      },
      {
        label: i18n.say("connections.actions"),
        kind: "action",
        cell: (row) =>
          ordersAllowed()
            ? [endButton(row), ...(row.user === null ? [] : [endUserButton(row.user)])]
            : [],
      },
    ],
  });

  /** @param {number[]} rooms */
  const roomLinks = (rooms) => {
    const links = rooms.flatMap((room) => [", ", subjectLink("room", `${room}`)]).slice(1);
    return links.length ? links : ["–"];
  };

  /** @param {Connection} row */
  const endButton = ({ gateway, id, user, address }) => {
    const who = user ?? address;
    return element(
      "button",
      {
        type: "button",
        "aria-label": `${i18n.say("connections.end")}: ${who}, ${id}`,
        click: () =>
          ask({
            question: i18n.say("ask.connection", { user: who }),
            note: `${i18n.say("ask.connectionNote")} (${address}, ${id})`,
            button: i18n.say("do.connection"),
            act: () => api.disconnect({ gateway, connection: id }),
            told: ended,
          }),
      },
      i18n.say("connections.end"),
    );
  };

  /** @param {string} user */
  const endUserButton = (user) =>
    element(
      "button",
      {
        type: "button",
        "aria-label": i18n.say("connections.endUser", { user }),
        click: () =>
          ask({
            question: i18n.say("ask.user", { user }),
            note: i18n.say("ask.userNote"),
            button: i18n.say("do.user"),
            keepsOut: true,
            act: (terms) => api.disconnect({ user, ...terms }),
            told: ended,
          }),
      },
      i18n.say("connections.endAll"),
    );

  /** @param {import("../api.js").Done} done */
  const ended = ({ done }) => {
    const sum = Object.values(done).reduce((a, b) => a + b, 0);
    return sum ? i18n.say("done.ended", { count: sum }) : i18n.say("done.nothing");
  };

  /** From the first page on. @param {string} by @param {"ascending" | "descending"} direction */
  const anew = (by = sort, direction = order) => {
    [sort, order] = [by, direction];
    pages.begin();
    refresh(true);
  };

  /** Ask again; a request of the user does not wait for the previous answer. @param {boolean} wanted */
  const refresh = async (wanted = false) => {
    if (busy && !wanted) return;
    const number = ++asked;
    busy = true;
    try {
      const size = NARROW.matches ? SIZE.narrow : SIZE.wide;
      const query = { search: subject ?? search.value, sort, order, size, ...pages.query };
      const page = await api.connections(query);
      if (number === asked) show(page);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (number === asked) problem.textContent = i18n.explain(error);
    } finally {
      if (number === asked) busy = false;
    }
  };

  /** @param {Page} page */
  const show = (page) => {
    problem.textContent = "";
    now = Date.parse(page.at);
    const { matching, total } = page;
    say(
      count,
      i18n.say("connections.count", {
        matching: format.count(matching),
        total: format.count(total),
      }),
    );
    pages.shown(page.next);
    [sorts.value, orders.value] = [sort, order];
    for (const cell of grid.heads) {
      const column = cell.querySelector("button")?.dataset.sort;
      if (column === sort) cell.setAttribute("aria-sort", order);
      else cell.removeAttribute("aria-sort");
    }
    grid.show(page.connections);
  };

  const section = element(
    "section",
    { "aria-labelledby": "connections-title" },
    element(
      "div",
      { class: "row" },
      element("h2", { id: "connections-title", class: "grow" }, i18n.say("connections.title")),
      count,
    ),
    element(
      "div",
      { class: "search" },
      ...(subject
        ? []
        : [field(i18n.say("connections.search"), search, i18n.say("connections.hint"))]),
      field(i18n.say("connections.sort"), sorts),
      field(i18n.say("connections.order"), orders),
    ),
    problem,
    grid.frame,
    pages.row,
  );
  return { section, refresh };
}

/**
 * Set a text, unless it is unchanged: screen readers would announce it again.
 *
 * @param {HTMLElement} place
 * @param {string} text
 */
function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
