import assert from "node:assert/strict";
import { test } from "node:test";
import { Queue } from "../../../static/interact/queue.js";
import { message } from "./messages.js";
import { turn } from "./patience.js";

/** A queue, and a record of what happens to it. */
function queue(handler = () => {}) {
  const course = [];
  const leaving = new AbortController();
  const made = new Queue({
    destination: "/queue/acdm.mo.interact.private.42",
    identity: () => "a1",
    handler: async (one) => {
      course.push(`begin ${one.seq}`);
      await handler(one);
      course.push(`end ${one.seq}`);
    },
    opened: () => {},
    report: ({ message }) => course.push(message),
    signal: leaving.signal,
  });
  const receive = (one) => {
    const body = typeof one === "string" ? one : JSON.stringify(one);
    const headers = { seq: `${one.seq}` };
    made.received({ body, headers, ack: () => course.push(`ack ${one.seq}`) });
  };
  return { made, course, receive, leaving };
}

test("each acknowledges for itself", () => {
  assert.equal(queue().made.headers().ack, "client-individual");
});

test("a message is acknowledged when its handler has run, one after the other", async () => {
  const { course, receive } = queue(() => turn());
  for (const seq of [1, 2]) receive(message(seq));
  await turn();
  await turn();
  await turn();
  assert.deepEqual(course, ["begin 1", "end 1", "ack 1", "begin 2", "end 2", "ack 2"]);
});

test("a repetition is acknowledged and not handled again, even while the first is", async () => {
  let done;
  const { course, receive } = queue(() => new Promise((resolve) => (done = resolve)));
  receive(message(1));
  await turn();
  receive(message(1));
  await turn();
  assert.deepEqual(course, ["begin 1"]);
  done();
  await turn();
  receive(message(1));
  await turn();
  assert.deepEqual(course, ["begin 1", "end 1", "ack 1", "ack 1", "ack 1"]);
});

test("what the handler failed at is told, not acknowledged, and tried when it comes again", async () => {
  const failures = [new Error("cannot be shown")];
  const { course, receive } = queue(() => {
    const failure = failures.pop();
    if (failure) throw failure;
  });
  for (const seq of [1, 2, 1]) receive(message(seq));
  await turn();
  assert.deepEqual(course, [...["begin 1", "cannot be shown"], ...["begin 2", "end 2", "ack 2"]]);
  receive(message(1));
  await turn();
  assert.deepEqual(course.slice(-3), ["begin 1", "end 1", "ack 1"]);
});

test("what is no message for a page is taken from the queue", async () => {
  const { course, receive } = queue();
  receive("not ours");
  receive(message(null, { type: "presence" }));
  await turn();
  assert.deepEqual(course, ["ack undefined", "ack null"]);
});

test("nothing is handled or acknowledged once it is closed", async () => {
  const { course, receive, leaving } = queue();
  receive(message(1));
  leaving.abort();
  await turn();
  assert.deepEqual(course, []);
});

test("what is remembered of repetitions is bounded", async () => {
  const { course, receive } = queue();
  for (let seq = 1; seq <= 2002; seq += 1) receive(message(seq));
  await turn();
  course.length = 0;
  receive(message(1));
  receive(message(2002));
  await turn();
  assert.deepEqual(course.sort(), ["ack 1", "ack 2002", "begin 1", "end 1"]);
});
