import assert from "node:assert/strict";
import { test } from "node:test";
import { napping } from "../../../static/interact/nap.js";
import { Patience, turn } from "./patience.js";

function napper() {
  const patience = new Patience();
  const listeners = new Set();
  const nap = napping({
    wait: patience.wait,
    onWake: (listener, signal) => {
      listeners.add(listener);
      signal.addEventListener("abort", () => listeners.delete(listener));
    },
  });
  return { patience, listeners, nap };
}

test("a nap is over with its time", async () => {
  const { patience, listeners, nap } = napper();
  const napped = nap(1000, patience.signal);
  await patience.pass();
  await napped;
  assert.equal(listeners.size, 0);
});

test("a nap is over when something good happens", async () => {
  const { patience, listeners, nap } = napper();
  const napped = nap(1000, patience.signal);
  for (const listener of [...listeners]) listener();
  await napped;
  await turn();
  assert.deepEqual([listeners.size, patience.waits], [0, []]);
});

test("a nap that is ended from outside says why", async () => {
  const { patience, listeners, nap } = napper();
  const napped = nap(1000, patience.signal);
  patience.leave(new Error("closed"));
  await assert.rejects(napped, /closed/);
  assert.equal(listeners.size, 0);
});
