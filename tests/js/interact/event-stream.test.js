import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStream } from "../../../static/interact/event-stream.js";
import { seeded } from "./random.js";

test("events are read as the standard says", () => {
  const text =
    ': a comment\n\nretry: 2000\nid: 7\ndata: {"seq":7}\n\nevent: joined\ndata:  two spaces\r\n\r\ndata: a\ndata\ndata:b\r\rid: 9\n\nevent: end\ndata: x\n\ndata: unfinished\n';
  assert.deepEqual(new EventStream().read(text), [
    { type: "message", data: '{"seq":7}', id: "7" },
    { type: "joined", data: " two spaces", id: null },
    { type: "message", data: "a\n\nb", id: null },
    { type: "end", data: "x", id: null },
  ]);
});

test("a stream cut anywhere has the same events", () => {
  const text = "id: 1\r\ndata: one\r\n\r\n:\n\nid: 2\rdata: two\r\rdata: three: 3\n\nevent: end\ndata: {}\n\n";
  const whole = new EventStream().read(text);
  assert.equal(whole.length, 4);
  const random = seeded(1);
  for (let n = 0; n < 300; n += 1) {
    const stream = new EventStream();
    const events = [];
    for (let rest = text; rest !== "";) {
      const length = 1 + Math.floor(random() * 5);
      events.push(...stream.read(rest.slice(0, length)));
      rest = rest.slice(length);
    }
    assert.deepEqual(events, whole);
  }
});
