import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";

const project = new URL("../../../", import.meta.url);

/** A frame in text, and the text of one. */
function parsed(text) {
  const [head] = text.split("\n\n");
  const [command, ...headers] = head.split("\n");
  return { command, headers: Object.fromEntries(headers.map((line) => line.split(":"))) };
}
const frame = (command, headers, body = "") =>
  `${command}\n${Object.entries(headers).map((pair) => `${pair.join(":")}\n`).join("")}\n${body}\0`;

/** A gateway that sends its clients away, each time for another reason. */
async function gateway(ends) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "v12.stomp" });
  const dials = [];
  server.on("connection", (socket) => {
    const dial = {};
    const number = dials.push(dial);
    const end = ends[number - 1];
    socket.on("message", (data) => {
      const { command, headers } = parsed(`${data}`);
      if (command === "CONNECT") {
        dial.passcode = headers.passcode;
        socket.send(frame("CONNECTED", { version: "1.2" }));
      } else if (command === "SUBSCRIBE") {
        dial.resumes = headers["resume-after"];
        const message = { subscription: headers.id, destination: "/topic/x", "message-id": `${number}`, seq: `${number}` };
        socket.send(frame("MESSAGE", message, JSON.stringify({ seq: number })));
        if (end === undefined) return;
        socket.send(frame("ERROR", end.headers));
        socket.close(end.code);
      }
    });
  });
  await new Promise((resolve) => server.once("listening", resolve));
  return { dials, server, url: `ws://127.0.0.1:${server.address().port}` };
}

test("the documentation's stock client resumes, waits as it is told, gets new tokens and stays away", async () => {
  const ends = [
    { code: 1012, headers: { message: "draining", "retry-after": "300" } },
    { code: 4008, headers: { message: "too_slow" } },
    { code: 4003, headers: { message: "removed" } },
  ];
  const { dials, server, url } = await gateway(ends);
  const text = await readFile(new URL("docs/how-to/library.md", project), "utf8");
  const code = text.split("```js stock.mjs\n")[1].split("```")[0].replace("wss://gateway.example/ws", url);
  // Where it finds stompjs.
  const folder = await mkdtemp(new URL("node_modules/.recipe-", project).pathname);
  const shown = [];
  const pauses = [];
  const { setTimeout } = globalThis;
  let tokens = 0;
  Object.assign(globalThis, {
    WebSocket,
    fetch: async () => new Response(`token ${(tokens += 1)}`),
    show: ({ seq }) => shown.push(seq),
    setTimeout: (task, milliseconds, ...rest) => {
      // stompjs's own wait is 1 ms; that of a closing socket is long.
      if (milliseconds !== 1 && milliseconds <= 5_000) pauses.push(milliseconds);
      return setTimeout(task, milliseconds, ...rest);
    },
  });
  try {
    await writeFile(`${folder}/stock.mjs`, code);
    const { client } = await import(`${folder}/stock.mjs`);
    const left = new Promise((resolve) => {
      client.onChangeState = (state) => state === 2 && resolve();
    });
    await left;
  } finally {
    await rm(folder, { recursive: true });
    globalThis.setTimeout = setTimeout;
    server.close();
  }
  assert.deepEqual(shown, [1, 2, 3]);
  assert.deepEqual(dials.map(({ resumes, passcode }) => [resumes, passcode]), [
    ["0", "token 1"],
    ["1", "token 2"],
    ["2", "token 3"],
  ]);
  assert.deepEqual(pauses, [0, 300, 0]);
});
