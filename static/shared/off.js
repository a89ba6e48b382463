let isWatching = false;

/**
 * Let a button be pressed no more for now, or again. It is not `disabled`: the button that was pressed would lose the
 * focus to the page, and whoever works with the keyboard their place on it.
 *
 * @param {HTMLButtonElement} button
 * @param {boolean} isOff
 */
export function switchOff(button, isOff) {
  if (isOff) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
  if (isWatching) return;
  isWatching = true;
  // Before every listener; Enter in a field presses the form's button, too.
  document.addEventListener("click", refuse, true);
}

/** @param {MouseEvent} event */
function refuse(event) {
  const { target } = event;
  if (!(target instanceof Element) || target.closest('button[aria-disabled="true"]') === null) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}
