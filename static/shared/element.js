/** @typedef {Record<string, string | boolean | ((event: any) => void)>} Attributes */

/**
 * Make an element. Strings among the children are text, never HTML; functions listen to the event that
 * the attribute names.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Make the place of somebody's text beside others: it keeps its own direction of writing. @param {string} text */
export function bdi(text) {
  return element("bdi", {}, text);
}

/**
 * Make a label with its input, and hints under it.
 *
 * @param {string} label
 * @param {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} input
 * @param {...(string | HTMLElement)} hints
 */
export function field(label, input, ...hints) {
  const wrapper = element("label", { class: "field" }, element("span", {}, label), input);
  for (const hint of hints) {
    if (hint) wrapper.append(typeof hint === "string" ? element("small", {}, hint) : hint);
  }
  return wrapper;
}

/** Make a picture that stands beside words, or in place of a label of the same meaning. @param {string} name */
export function icon(name) {
  return element("span", { class: `icon icon-${name}`, "aria-hidden": "true" });
}

/**
 * Make a button that shows only a picture.
 *
 * @param {string} name of the icon
 * @param {string} label
 * @param {Attributes} attributes
 */
export function iconButton(name, label, attributes = {}) {
  return element(
    "button",
    { type: "button", class: "quiet square", "aria-label": label, title: label, ...attributes },
    icon(name),
  );
}
