import { Connection } from "../../../static/js/interact/connection.js";
import { Locks } from "./locks.js";
import { MemoryStorage } from "./memory-storage.js";
import { Patience, turn } from "./patience.js";
import { StompClient } from "./stomp-client.js";

const BASE = "https://gateway.example";
const TOPIC = "/topic/acdm.mo.interact.public.42";

/** A gateway with room 42 in it, as a page sees it: what it holds, and everything that was asked. */
export class Gateway {
  role = "participant";
  /** @type {object[]} the public stream */
  kept = [];
  present = [];
  asked = [];
  /** @type {(() => Response | Promise<Response>)[]} instead of the usual answers to posts */
  answers = [];
  lines = [];
  patience = new Patience();
  clock = { now: 0 };
  reported = [];
  /** What one browser keeps for all pages. */
  storage = new MemoryStorage();
  locks = new Locks();
  #woken = new Set();

  connect(options = { token: "a.b.c" }) {
    return new Connection(
      { url: `${BASE}/`, ...options },
      {
        fetch: (url, init) => this.#answer(url.replace(BASE, ""), init),
        client: (config) => {
          const line = new StompClient(config);
          this.lines.push(line);
          return line;
        },
        storage: this.storage,
        locks: this.locks,
        now: () => this.clock.now,
        random: () => 0.5,
        wait: this.patience.wait,
        onWake: (listener, signal) => {
          this.#woken.add(listener);
          signal.addEventListener("abort", () => this.#woken.delete(listener));
        },
        report: (error) => this.reported.push(error),
      },
    );
  }

  get line() {
    return this.lines.at(-1);
  }

  /** The network is back, or the page is looked at. */
  async wake() {
    await turn();
    for (const listener of [...this.#woken]) listener();
    await turn();
  }

  /** Let a connection, or the next one, come to stand. */
  async open() {
    await turn();
    this.line.connected();
    await turn();
    this.line.receiveAll();
    await turn();
  }

  /** The gateway says something on the room's topic. */
  say(message) {
    if (message.seq !== null) this.kept.push(message);
    this.line.message("acdm.mo.interact.public.42", JSON.stringify(message));
  }

  asks(what) {
    return this.asked.filter((asked) => asked.startsWith(what));
  }

  async #answer(path, { method, body }) {
    this.asked.push(`${method} ${path}`);
    await null;
    if (method === "POST" && path.endsWith("/messages")) {
      const answer = this.answers.shift();
      if (answer) return answer();
      const { id } = JSON.parse(body);
      return Response.json({ id, seq: this.kept.length + 1, sent_at: "", published: true });
    }
    if (!/^\/api\/(session|rooms\/42)/.test(path)) return new Response("", { status: 404 });
    return Response.json(this.#resource(path));
  }

  #resource(path) {
    if (path === "/api/session") return { user: "paul", roles: [], expires_at: "2030-01-01" };
    if (path === "/api/rooms/42") {
      const host = this.role === "host";
      const queue = "/queue/acdm.mo.interact.private.42";
      return { destinations: { public: TOPIC, ...(host ? { queue } : {}) } };
    }
    if (path === "/api/rooms/42/presence") return { present: this.present };
    const query = new URLSearchParams(path.split("?")[1]);
    const head = this.kept.at(-1)?.seq ?? 0;
    const after = Number(query.get("after"));
    return { messages: this.kept.filter(({ seq }) => seq > after), head, complete: true };
  }
}
