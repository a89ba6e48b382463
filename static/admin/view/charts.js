// An ES5 constructor, which tells nothing of its methods.
import uPlot from "../../vendor/uplot/index.js";
import { element } from "../../js/view/element.js";
import { AT } from "../picture.js";

/** @typedef {import("../picture.js").Picture} Picture */
/** @typedef {import("../format.js").Format} Format */
/** @typedef {import("../../js/i18n.js").I18n} I18n */

const HEIGHT = 110;
/** Gateways whose lines differ in colour; `--line-1` … in `dashboard.css`. */
export const COLOURS = 6;

/**
 * A chart for each number that tells how the gateways do: a line a gateway.
 *
 * @param {{i18n: I18n, format: Format}} context
 */
export function charts({ i18n, format }) {
  const rate = (/** @type {number} */ value) => format.number(value);
  const cards = [
    card("connections", [AT.connections], rate, (picture) => rate(picture.total(AT.connections))),
    card("deliveries", [AT.deliveries], rate, (picture) => rate(picture.total(AT.deliveries))),
    card("posts", [AT.posts], rate, (picture) => rate(picture.total(AT.posts))),
    card(
      "latency",
      [AT.p50, AT.p99],
      (value) => format.latency(value),
      (picture) => format.latency(picture.worst(AT.p99)),
      (picture) =>
        i18n.say("chart.latencyNote", {
          p50: format.latency(picture.worst(AT.p50)),
          p99: format.latency(picture.worst(AT.p99)),
        }),
    ),
    card(
      "outbox",
      [AT.outbox],
      rate,
      (picture) => rate(picture.total(AT.outbox)),
      () => i18n.say("chart.outboxNote"),
    ),
  ];
  const section = element(
    "section",
    { "aria-labelledby": "charts-title" },
    element("h2", { id: "charts-title", class: "hidden-text" }, i18n.say("charts.title")),
    element("div", { class: "charts" }, ...cards.map(({ frame }) => frame)),
  );
  return {
    section,
    show: (/** @type {Picture} */ picture) => cards.forEach(({ show }) => show(picture)),
  };

  /**
   * @param {string} name
   * @param {number[]} columns
   * @param {(value: number) => string} tick
   * @param {(picture: Picture) => string} now
   * @param {(picture: Picture) => string} note
   */
  function card(name, columns, tick, now, note = () => "") {
    const title = i18n.say(`chart.${name}`);
    const value = element("p", { class: "now" }, "–");
    const remark = element("p", { class: "soft" });
    const place = element("div", { class: "chart", role: "img" });
    const frame = element("div", { class: "card tile" }, element("h3", {}, title), value, remark, place);
    /** @type {any} */
    let plot = null;
    let drawnFor = "";

    const width = () => Math.max(120, place.clientWidth);
    new ResizeObserver(() => plot?.setSize({ width: width(), height: HEIGHT })).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (drawnFor = ""));

    /** @param {Picture} picture */
    const show = (picture) => {
      value.textContent = now(picture);
      remark.textContent = note(picture);
      place.setAttribute("aria-label", i18n.say("chart.label", { title, now: value.textContent }));
      const data = /** @type {any} */ (picture.series(...columns));
      const gateways = picture.gateways.join(" ");
      if (plot && drawnFor === gateways) {
        plot.setData(data);
        return;
      }
      plot?.destroy();
      drawnFor = gateways;
      plot = new uPlot(options(picture.gateways.length, columns.length, tick), data, place);
    };

    /** @param {number} gateways @param {number} lines each @param {(value: number) => string} tick */
    const options = (gateways, lines, tick) => {
      const styles = getComputedStyle(document.documentElement);
      const colour = (/** @type {string} */ property) => styles.getPropertyValue(property).trim();
      const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
      return {
        width: width(),
        height: HEIGHT,
        padding: [8, 6, 0, 0],
        cursor: { show: false },
        legend: { show: false },
        scales: { y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ most) => [0, Math.max(most * 1.1, 1e-3)] } },
        axes: [
          { ...axis, grid: { show: false }, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((each) => format.hour(each)), space: 70, size: 26 },
          { ...axis, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map(tick), size: 48, space: 26 },
        ],
        series: [
          {},
          ...Array.from({ length: gateways * lines }, (_, index) => ({
            stroke: colour(`--line-${(Math.floor(index / lines) % COLOURS) + 1}`),
            // The median, where there is one, is the fainter line.
            width: index % lines === lines - 1 ? 2 : 1,
            spanGaps: true,
            points: { show: false },
          })),
        ],
      };
    };
    return { frame, show };
  }
}
