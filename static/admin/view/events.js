import { isolated } from "../../shared/bidi.js";
import { bdi, element } from "../../shared/element.js";
import { keyOf } from "../picture.js";
import { NARROW, table } from "./rows.js";

/** @typedef {import("../picture.js").Picture} Picture */
/** @typedef {Picture["events"][number]} Event */
/** @typedef {import("../main.js").Context} Context */

const KINDS = /** @type {const} */ (["close", "refusal", "failover", "node", "action"]);
/** Rows at once, the newest of the chosen kinds, on a wide screen and on a phone. */
const SHOWN = { wide: 50, narrow: 20 };

/** The last events with their reasons. @param {Context} context */
export function eventsTable({ i18n, format }) {
  const chosen = new Set(/** @type {string[]} */ ([...KINDS]));
  /** @type {Event[]} */
  let events = [];
  const grid = table({
    caption: i18n.say("events.title"),
    empty: i18n.say("events.none"),
    key: (/** @type {Event} */ event) => keyOf(event),
    columns: [
      { label: i18n.say("events.time"), kind: "name", cell: ({ at }) => [format.clock(at)] },
      {
        label: i18n.say("events.kind"),
        cell: ({ kind }) => [element("span", { class: "kind", "data-kind": kind }, i18n.say(`kind.${kind}`))],
      },
      {
        label: i18n.say("events.what"),
        cell: ({ code, status, times }) => {
          const word = i18n.words[`code.${code}`] ?? code.replaceAll("_", " ");
          const often = times === undefined ? "" : ` × ${format.number(times)}`;
          return [(status === undefined ? word : `${word} (${status})`) + often];
        },
      },
      {
        label: i18n.say("events.who"),
        cell: ({ user, by, address, node }) => [
          [user, by && i18n.say("journal.by", { user: by }), address, node].flatMap((each) => (each === undefined ? [] : [isolated(each)])).join(" · ") || "–",
        ],
      },
      { label: i18n.say("events.detail"), kind: "wide", cell: ({ detail, budget }) => why(detail, budget) },
      { label: i18n.say("events.gateway"), kind: "name", cell: ({ gateway }) => [bdi(gateway)] },
    ],
  });
  /** @param {string} detail @param {string | undefined} budget */
  function why(detail, budget) {
    if (budget === undefined) return [bdi(detail)];
    const [name, scope] = budget.split("/");
    const limit = i18n.say("events.limit", { name, scope: i18n.say(`scope.${scope}`) });
    return [bdi(detail), " ", element("small", {}, limit)];
  }
  const render = () => {
    grid.show(
      events
        .filter(({ kind }) => chosen.has(kind))
        .slice(0, NARROW.matches ? SHOWN.narrow : SHOWN.wide),
    );
  };
  const choices = KINDS.map((kind) => {
    const box = element("input", {
      type: "checkbox",
      checked: true,
      change: () => {
        box.checked ? chosen.add(kind) : chosen.delete(kind);
        render();
      },
    });
    return element("label", { class: "choice" }, box, i18n.say(`kind.${kind}`));
  });
  const section = element(
    "section",
    { "aria-labelledby": "events-title" },
    element("h2", { id: "events-title" }, i18n.say("events.title")),
    element(
      "fieldset",
      { class: "row" },
      element("legend", { class: "hidden-text" }, i18n.say("events.show")),
      ...choices,
    ),
    grid.frame,
  );
  /** @param {Picture} picture */
  const show = (picture) => {
    events = picture.events;
    render();
  };
  return { section, show };
}
