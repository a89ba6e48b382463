/** The page's address after `#`. Pure. */

/** @typedef {{view: "rooms"} | {view: "room", room: number}} Route */

/** @param {string} hash as in `location.hash` @returns {Route} */
export function route(hash) {
  const found = /^#\/rooms\/([1-9][0-9]{0,14})$/.exec(hash);
  return found ? { view: "room", room: Number(found[1]) } : { view: "rooms" };
}

/** @param {number} room */
export function roomLink(room) {
  return `#/rooms/${room}`;
}
