import uPlot from "../../vendor/uplot/index.js";
import { element, field } from "../../shared/element.js";
import { AT } from "../picture.js";
import { HEIGHT, options } from "./plot.js";

/** @typedef {import("../picture.js").Picture} Picture */
/** @typedef {import("../format.js").Format} Format */
/** @typedef {import("../../shared/i18n.js").I18n} I18n */

/**
 * A chart for each number of the gateways, with a line per gateway.
 *
 * @param {{i18n: I18n, format: Format, api: import("../api.js").AdminApi}} context
 */
export function charts({ i18n, format, api }) {
  /** The samples of the hours that are shown; null: the live ones. @type {Record<string, import("../picture.js").Sample[]> | null} */
  let past = null;
  let asked = 0;
  /** @type {Picture | null} */
  let last = null;

  const range = element(
    "select",
    { change: () => void load() },
    ...[0, 1, 6, 24].map((hours) => element("option", { value: `${hours}` }, i18n.say(`charts.${hours}`))),
  );
  /** The data of hours come each minute; what is live comes by itself. */
  async function load() {
    const number = ++asked;
    const hours = Number(range.value);
    const found = hours ? await api.past(hours).catch(() => null) : null;
    if (number !== asked) return;
    past = found && found.gateways;
    if (last) show(last);
  }
  setInterval(() => past && !document.hidden && void load(), 60_000);

  const number = { say: (/** @type {number} */ value) => format.number(value), least: 1 };
  const latency = { say: (/** @type {number} */ value) => format.latency(value), least: 1e-3 };
  const total = (/** @type {Picture} */ picture, /** @type {number} */ column) =>
    format.number(picture.total(column));
  const cards = [
    card("connections", [AT.connections], number, (picture) => total(picture, AT.connections)),
    card("deliveries", [AT.deliveries], number, (picture) => total(picture, AT.deliveries)),
    card("posts", [AT.posts], number, (picture) => total(picture, AT.posts)),
    card(
      "latency",
      [AT.p50, AT.p99],
      latency,
      (picture) => format.latency(picture.worst(AT.p99)),
      (picture) =>
        i18n.say("chart.latencyNote", {
          p50: format.latency(picture.worst(AT.p50)),
          p99: format.latency(picture.worst(AT.p99)),
        }),
    ),
    card(
      "logins",
      [AT.logins, AT.failed],
      number,
      (picture) => total(picture, AT.logins),
      (picture) => i18n.say("chart.loginsNote", { failed: total(picture, AT.failed) }),
    ),
    card(
      "outbox",
      [AT.outbox],
      number,
      (picture) => total(picture, AT.outbox),
      () => i18n.say("chart.outboxNote"),
    ),
  ];
  const section = element(
    "section",
    { "aria-labelledby": "charts-title" },
    element("h2", { id: "charts-title", class: "hidden-text" }, i18n.say("charts.title")),
    element("div", { class: "range" }, field(i18n.say("charts.range"), range)),
    element("div", { class: "charts" }, ...cards.map(({ frame }) => frame)),
  );
  return { section, show };

  /** @param {Picture} picture */
  function show(picture) {
    last = picture;
    cards.forEach((card) => card.show(picture));
  }

  /**
   * @param {string} name
   * @param {number[]} columns
   * @param {{say: (value: number) => string, least: number}} unit
   * @param {(picture: Picture) => string} now
   * @param {(picture: Picture) => string} note
   */
  function card(name, columns, unit, now, note = () => "") {
    const title = i18n.say(`chart.${name}`);
    const value = element("p", { class: "now" }, "–");
    const remark = element("p", { class: "soft" });
    const place = element("div", { class: "chart", role: "img" });
    const frame = element(
      "div",
      { class: "card tile" },
      element("h3", {}, title),
      value,
      remark,
      place,
    );
    /** @type {uPlot | null} */
    let plot = null;
    let drawnFor = "";
    /** @type {[number[], ...(number | null)[][]]} */
    let data = [[]];
    /** Whether somebody points at a place of the chart, whose values stand in the remark. */
    let pointed = false;
    const hover = (/** @type {number | null} */ index) => {
      pointed = index !== null && data[0][index] !== undefined;
      if (index === null || !pointed) return;
      const values = data.slice(1).map((line) => line[index]);
      const said = values.map((each) => (each == null ? "–" : unit.say(each)));
      remark.textContent = `${format.hour(data[0][index])}: ${said.join(" · ")}`;
    };

    const width = () => Math.max(120, place.clientWidth);
    new ResizeObserver(() => plot?.setSize({ width: width(), height: HEIGHT })).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (drawnFor = ""));

    /** @param {Picture} picture */
    const show = (picture) => {
      value.textContent = now(picture);
      if (!pointed) remark.textContent = note(picture);
      place.setAttribute("aria-label", i18n.say("chart.label", { title, range: i18n.say(`charts.${range.value}`), now: value.textContent }));
      data = past ? picture.seriesOf(past, ...columns) : picture.series(...columns);
      const gateways = picture.gateways.join(" ");
      if (plot && drawnFor === gateways) {
        plot.setData(/** @type {any} */ (data));
        return;
      }
      plot?.destroy();
      drawnFor = gateways;
      plot = new uPlot(
        options({
          width: width(),
          gateways: picture.gateways.length,
          lines: columns.length,
          hour: (at) => format.hour(at),
          unit,
          hover,
        }),
        /** @type {any} */ (data),
        place,
      );
    };

    return { frame, show };
  }
}
