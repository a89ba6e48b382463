import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../static/js/api-error.js";
import { Outgoing } from "../../static/js/outgoing.js";
import { Patience } from "./patience.js";

const lost = () => new ApiError(0, "unreachable", "no network");
const receipt = (id) => ({ id, seq: 1, sent_at: "", published: true });

/** An outgoing whose posts are answered with what stands in `answers`, then accepted. */
function outgoing(...answers) {
  const patience = new Patience();
  const posts = [];
  const made = new Outgoing(async (message) => {
    posts.push(message);
    const answer = answers.shift();
    if (answer) throw answer;
    return receipt(message.id);
  }, patience);
  return { made, posts, patience };
}

test("a message is posted again with the same id until it is answered", async () => {
  const { made, posts, patience } = outgoing(lost(), new ApiError(503, "draining", "", 4000));
  const sending = made.send("hello");
  assert.equal(await patience.next(), 250 + 1000);
  assert.deepEqual(
    [made.letters[0].state, made.letters[0].problem.code],
    ["waiting", "unreachable"],
  );
  await patience.pass();
  assert.equal(await patience.next(), 4000 + 2000);
  await patience.pass();
  await sending;
  assert.equal(posts.length, 3);
  assert.equal(new Set(posts.map(({ id }) => id)).size, 1);
  assert.deepEqual(made.letters, []);
});

test("messages leave in the order in which they were written", async () => {
  const { made, posts, patience } = outgoing(lost());
  const sending = made.send("first");
  void made.send("second");
  await patience.pass();
  await sending;
  assert.deepEqual(
    posts.map(({ body }) => body),
    ["first", "first", "second"],
  );
});

test("a refused message is kept with its reason, and those after it leave", async () => {
  const { made, posts } = outgoing(new ApiError(413, "too_large", "too long"));
  const sending = made.send("long");
  void made.send("short");
  await sending;
  assert.equal(posts.length, 2);
  assert.deepEqual(
    made.letters.map(({ body, state, problem }) => [body, state, problem.code]),
    [["long", "refused", "too_large"]],
  );
  made.forget(made.letters[0].id);
  assert.deepEqual(made.letters, []);
});

test("each message gets an id of its own, and its receipt is told", async () => {
  const { made, posts } = outgoing();
  const receipts = [];
  made.sent = (letter, { id }) => receipts.push([letter.body, id]);
  await made.send("a");
  await made.send("a");
  assert.deepEqual(
    receipts,
    posts.map(({ id }) => ["a", id]),
  );
  assert.notEqual(posts[0].id, posts[1].id);
});
