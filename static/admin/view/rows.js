import { element } from "../../shared/element.js";

/** The screens on which a row is a card; the same as in `dashboard.css`. */
export const NARROW = matchMedia("(max-width: 60rem)");

/**
 * A table whose rows remain the same elements while their content changes, so that focus and selection
 * survive. Narrow screens show each row as a card: `dashboard.css`, by the cells' labels.
 *
 * @template T
 * @typedef {object} Column
 * @property {string} label
 * @property {(row: T) => (Node | string)[]} cell
 * @property {string} [kind] class of the cells: `number`, `name` (never broken), `action`
 * @property {Node} [head] in place of the label
 */

/**
 * @template T
 * @param {{caption: string, columns: Column<T>[], key: (row: T) => string, empty: string}} parts
 */
export function table({ caption, columns, key, empty }) {
  const heads = columns.map(({ label, kind, head }) =>
    element(
      "th",
      { scope: "col", role: "columnheader", class: kind ?? "" },
      head ?? (kind === "action" ? element("span", { class: "hidden-text" }, label) : label),
    ),
  );
  const body = element("tbody", { role: "rowgroup" });
  const none = element("p", { class: "soft empty", hidden: true }, empty);
  // Explicit roles, because screen readers do not see a table that is laid out as cards.
  const grid = element(
    "table",
    { role: "table" },
    element("caption", { class: "hidden-text" }, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)),
    body,
  );
  const frame = element(
    "div",
    { class: "table", tabindex: "0", role: "region", "aria-label": caption },
    grid,
    none,
  );
  /** @type {Map<string, HTMLTableRowElement>} */
  let shown = new Map();

  /** @param {T[]} rows */
  const show = (rows) => {
    const next = new Map();
    for (const row of rows) {
      const name = key(row);
      const line = shown.get(name) ?? emptyRow(columns);
      columns.forEach(({ cell }, index) => fill(line.cells[index].children[0], cell(row)));
      next.set(name, line);
    }
    for (const [name, line] of shown) if (!next.has(name)) line.remove();
    let before = null;
    for (const line of next.values()) {
      const place = before ? before.nextSibling : body.firstChild;
      if (place !== line) body.insertBefore(line, place);
      before = line;
    }
    none.hidden = rows.length > 0;
    grid.hidden = rows.length === 0;
    shown = next;
  };
  return { frame, heads, show };
}

/** @param {Column<any>[]} columns */
function emptyRow(columns) {
  const cells = columns.map(({ label, kind }) =>
    element("td", { role: "cell", class: kind ?? "", "data-label": label }, element("div")),
  );
  return element("tr", { role: "row" }, ...cells);
}

/** Replace the content only if it differs. @param {Element} place @param {(Node | string)[]} content */
function fill(place, content) {
  const wanted = element("div", {}, ...content);
  if (wanted.innerHTML !== place.innerHTML) place.replaceChildren(...wanted.childNodes);
}
