import assert from "node:assert/strict";
import { test } from "node:test";
import { projectorLink, roomLink, route } from "../../../static/room/route.js";

test("a room's link leads to the room", () => {
  assert.equal(roomLink(42), "#/rooms/42");
  assert.deepEqual(route("#/rooms/42"), { view: "room", room: 42, projected: false });
  assert.equal(projectorLink(42), "#/rooms/42/projector");
  assert.deepEqual(route("#/rooms/42/projector"), { view: "room", room: 42, projected: true });
});

for (const hash of [
  "",
  "#",
  "#/",
  "#/rooms",
  "#/rooms/0",
  "#/rooms/-1",
  "#/rooms/4x",
  "#/rooms/1/2",
  "#/rooms/1/projector/",
]) {
  test(`everything else leads to the list of rooms: "${hash}"`, () => {
    assert.deepEqual(route(hash), { view: "rooms" });
  });
}
