/** @typedef {import("../../vendor/uplot/index.js").Options} Options */

/** Pixels; as in `dashboard.css`. */
export const HEIGHT = 110;
/** Gateways whose lines differ in colour; `--line-1` … in `dashboard.css`. */
export const COLOURS = 6;

/**
 * The options of a chart: in the page's present colours, from zero on, without a legend.
 *
 * @param {object} parts
 * @param {number} parts.width pixels
 * @param {number} parts.gateways
 * @param {number} parts.lines of each gateway
 * @param {(at: number) => string} parts.hour says a time
 * @param {{say: (value: number) => string, least: number}} parts.unit says a value; the chart
 *   reaches to the least at least
 * @param {(index: number | null) => void} parts.hover the place in the data that is pointed at
 * @returns {Options}
 */
export function options({ width, gateways, lines, hour, unit, hover }) {
  const styles = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ property) => styles.getPropertyValue(property).trim();
  const axis = {
    stroke: colour("--soft"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    padding: [8, 6, 0, 0],
    cursor: { y: false, drag: { x: false, y: false } },
    hooks: { setCursor: [({ cursor }) => hover(cursor.idx ?? null)] },
    legend: { show: false },
    scales: { y: { range: (_, __, most) => [0, Math.max(most * 1.1, unit.least)] } },
    axes: [
      { ...axis, grid: { show: false }, values: (_, at) => at.map(hour), space: 70, size: 26 },
      { ...axis, values: (_, values) => values.map(unit.say), space: 26, size: 48 },
    ],
    series: [
      {},
      ...Array.from({ length: gateways * lines }, (_, index) => ({
        stroke: colour(`--line-${(Math.floor(index / lines) % COLOURS) + 1}`),
        // The median, if there is one, is the fainter line.
        width: index % lines === lines - 1 ? 2 : 1,
        spanGaps: true,
        points: { show: false, filter: lone },
      })),
    ],
  };
}

/**
 * The points of a chart: a line needs two values, so a single one (the latency of the only POST) is a point.
 *
 * @param {import("../../vendor/uplot/index.js")} plot
 * @param {number} series
 * @returns {number[] | null}
 */
function lone(plot, series) {
  const values = /** @type {ArrayLike<number | null | undefined>} */ (plot.data[series]);
  const there = Array.from(values, (value, index) => (value == null ? -1 : index));
  const indices = there.filter((index) => index >= 0);
  return indices.length === 1 ? indices : null;
}
