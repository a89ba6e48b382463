import { bdi, element } from "../../shared/element.js";
import { condition } from "../picture.js";
import { stateMark } from "./gateways.js";
import { table } from "./rows.js";

/** @typedef {import("../picture.js").Picture} Picture */
/** @typedef {import("../picture.js").NodeViews} NodeViews */
/** @typedef {import("../main.js").Context} Context */

/** Each broker node, as the gateways see it; where they differ, each gateway's view. @param {Context} context */
export function nodesTable({ i18n, format, api, ask, orders }) {
  const grid = table({
    caption: i18n.say("nodes.title"),
    empty: i18n.say("nodes.none"),
    key: (/** @type {NodeViews} */ row) => row.name,
    columns: [
      { label: i18n.say("nodes.name"), cell: ({ name }) => [element("strong", {}, name)] },
      {
        label: i18n.say("nodes.state"),
        cell: ({ views }) => {
          const states = new Set(views.map(condition));
          if (states.size === 1) return [stateMark(i18n, [...states][0])];
          return views.map((view) =>
            element("div", {}, `${view.gateway}: `, stateMark(i18n, condition(view))),
          );
        },
      },
      {
        label: i18n.say("nodes.connections"),
        kind: "number",
        cell: ({ views }) => [
          format.count(views.reduce((sum, { connections }) => sum + connections, 0)),
        ],
      },
      {
        label: i18n.say("nodes.latency"),
        kind: "number",
        cell: ({ views }) => {
          const latencies = views.flatMap(({ latency }) => (latency === null ? [] : [latency]));
          return [format.latency(latencies.length ? Math.max(...latencies) : null)];
        },
      },
      {
        label: i18n.say("nodes.why"),
        cell: ({ views }) => {
          const reasons = views.flatMap(({ gateway, why }) =>
            why === null ? [] : [{ gateway, why }],
          );
          if (
            new Set(reasons.map(({ why }) => why)).size === 1 &&
            reasons.length === views.length
          ) {
            return [bdi(reasons[0].why)];
          }
          const lines = reasons.map(({ gateway, why }) =>
            element("div", {}, i18n.say("nodes.at", { gateway, what: why })),
          );
          return lines.length ? lines : ["–"];
        },
      },
      {
        label: i18n.say("connections.actions"),
        kind: "action",
        cell: ({ name, views }) => [
          ...(!orders() || views.every(({ draining }) => draining) ? [] : [button(name, "drain")]),
          ...(orders() && views.some(({ draining }) => draining) ? [button(name, "resume")] : []),
        ],
      },
    ],
  });

  /** @param {string} node @param {"drain" | "resume"} what */
  const button = (node, what) =>
    element(
      "button",
      {
        type: "button",
        "aria-label": `${i18n.say(`nodes.${what}`)}: ${node}`,
        click: () =>
          ask({
            question: i18n.say(`ask.${what}Node`, { node }),
            note: i18n.say(`ask.${what}NodeNote`),
            button: i18n.say(`do.${what}Node`),
            act: () => api[what]({ node }),
            told: ({ done }) =>
              i18n.say(`done.${what}Node`, { node, gateways: Object.keys(done).join(", ") }),
          }),
      },
      i18n.say(`nodes.${what}`),
    );

  const section = element(
    "section",
    { "aria-labelledby": "nodes-title" },
    element("h2", { id: "nodes-title" }, i18n.say("nodes.title")),
    grid.frame,
  );
  return { section, show: (/** @type {Picture} */ picture) => grid.show(picture.nodes) };
}
