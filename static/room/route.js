/** The page's address after `#`. Pure. */

/** @typedef {{view: "rooms"} | {view: "room", room: number, projected: boolean}} Route */

/** @param {string} hash as in `location.hash` @returns {Route} */
export function route(hash) {
  const found = /^#\/rooms\/([1-9][0-9]{0,14})(\/projector)?$/.exec(hash);
  if (!found) return { view: "rooms" };
  return { view: "room", room: Number(found[1]), projected: found[2] !== undefined };
}

/** @param {number} room */
export function roomLink(room) {
  return `#/rooms/${room}`;
}

/** @param {number} room */
export function projectorLink(room) {
  return `${roomLink(room)}/projector`;
}
