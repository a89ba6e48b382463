import { bdi, element } from "../../shared/element.js";
import { COLOURS } from "./plot.js";
import { table } from "./rows.js";

/** @typedef {import("../picture.js").Picture} Picture */
/** @typedef {import("../picture.js").Gateway} Gateway */
/** @typedef {import("../main.js").Context} Context */
/** Undefined: it has been there, and does not answer any more. @typedef {{name: string, state: Gateway | undefined}} Row */

/** All gateways that have been seen; the colour of each is that of its lines in the charts. @param {Context} context */
export function gatewaysTable({ i18n, format, api, ask, orders }) {
  /** @type {Picture} */
  let shown;
  const grid = table({
    caption: i18n.say("gateways.title"),
    empty: "",
    key: (/** @type {Row} */ row) => row.name,
    columns: [
      {
        label: i18n.say("gateways.name"),
        cell: ({ name }) => [
          element("span", { class: `swatch line-${colourOf(name)}`, "aria-hidden": "true" }),
          element("strong", {}, bdi(name)),
          ...(name === shown.state.own
            ? [" ", element("span", { class: "mark" }, i18n.say("gateways.own"))]
            : []),
        ],
      },
      {
        label: i18n.say("gateways.state"),
        cell: ({ state }) => [
          stateMark(i18n, state ? (state.draining ? "draining" : "serving") : "gone"),
        ],
      },
      {
        label: i18n.say("chart.connections"),
        kind: "number",
        cell: ({ state }) => [state ? format.count(state.sample[1]) : "–"],
      },
      {
        label: i18n.say("gateways.topics"),
        kind: "number",
        cell: ({ state }) => [state ? format.count(state.topics) : "–"],
      },
      {
        label: i18n.say("gateways.feeds"),
        cell: ({ state }) => [
          (state?.feeds ?? []).map((node) => node ?? i18n.say("gateways.noFeed")).join(", ") || "–",
        ],
      },
      {
        label: i18n.say("gateways.up"),
        cell: ({ state }) => [state ? format.span(state.sample[0] - state.started_at) : "–"],
      },
      {
        label: i18n.say("gateways.problems"),
        cell: ({ name, state }) => [bdi(state?.problems.join("; ") || shown.state.missing[name] || "–")],
      },
      {
        label: i18n.say("connections.actions"),
        kind: "action",
        cell: ({ name, state }) => (state && !state.draining && orders() ? [drainButton(name)] : []),
      },
    ],
  });

  const colourOf = (/** @type {string} */ name) => (shown.gateways.indexOf(name) % COLOURS) + 1;

  /** Whether clients of this gateway have another one to go to. @param {string} gateway */
  const others = (gateway) =>
    shown.state.gateways.some((state) => state.gateway !== gateway && !state.draining);

  const drainButton = (/** @type {string} */ gateway) =>
    element(
      "button",
      {
        type: "button",
        "aria-label": `${i18n.say("gateways.drain")}: ${gateway}`,
        click: () =>
          ask({
            question: i18n.say("ask.drainGateway", { gateway }),
            note: i18n.say(others(gateway) ? "ask.drainGatewayNote" : "ask.drainOnlyGatewayNote"),
            button: i18n.say("do.drainGateway"),
            act: () => api.drain({ gateway }),
            told: ({ done }) => (done[gateway] ? i18n.say("done.drainGateway", { gateway }) : ""),
          }),
      },
      i18n.say("gateways.drain"),
    );

  const section = element(
    "section",
    { "aria-labelledby": "gateways-title" },
    element("h2", { id: "gateways-title" }, i18n.say("gateways.title")),
    grid.frame,
  );
  /** @param {Picture} picture */
  const show = (picture) => {
    shown = picture;
    const live = new Map(picture.state.gateways.map((state) => [state.gateway, state]));
    const names = new Set([...picture.gateways, ...Object.keys(picture.state.missing)]);
    grid.show([...names].map((name) => ({ name, state: live.get(name) })));
  };
  return { section, show };
}

/** @param {import("../../shared/i18n.js").I18n} i18n @param {string} state */
export function stateMark(i18n, state) {
  return element("span", { class: "state", "data-state": state }, i18n.say(`state.${state}`));
}
