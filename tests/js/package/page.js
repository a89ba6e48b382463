// The least of a browser, a gateway that answers, and a page that posts.
import { createServer } from "node:http";
import { connect } from "interact-gateway";

const posted = [];
const gateway = createServer((request, response) => {
  let text = "";
  request.on("data", (part) => (text += part)).on("end", () => {
    const answer = (value) => response.setHeader("Content-Type", "application/json").end(JSON.stringify(value));
    if (request.url === "/api/session") answer({ user: "paul", roles: [], expires_at: "2030-01-01" });
    else {
      posted.push({ token: request.headers.authorization, ...JSON.parse(text) });
      answer({ id: posted[0].id, seq: 1, sent_at: "", published: true });
    }
  });
}).listen(0, "127.0.0.1", async () => {
  globalThis.navigator ??= {};
  // Node 20 has none; this one never opens.
  globalThis.WebSocket = class {};
  globalThis.addEventListener = () => {};
  globalThis.document = { addEventListener() {}, visibilityState: "visible" };
  globalThis.reportError = console.error;
  const url = `http://127.0.0.1:${gateway.address().port}`;
  const { seq } = await connect({ url, token: "a.b.c" }).room(7).post({ text: "hello" });
  const [{ token, body }] = posted;
  console.log(JSON.stringify({ seq, token, body }));
  process.exit(0);
});
