import { Problem } from "../../interact/problem.js";
import { element } from "../../shared/element.js";
import { subjectLink } from "../subject.js";
import { connectionsTable } from "./connections.js";
import { journal } from "./journal.js";

/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../subject.js").Subject} Subject */
/** @typedef {import("../api.js").Room} Room */

/**
 * The page of a user, a room or a connection: what is there now, and what the journal has of it.
 *
 * @param {Context} context
 * @param {Subject} subject
 */
export function subjectPage(context, { kind, name }) {
  const { i18n, api } = context;
  const connections = connectionsTable(context, `${kind}:${name}`);
  const entries = journal(context, { [kind]: name });
  const facts = element("dl", { class: "facts" });
  const problem = element("p", { role: "alert", class: "problem" });
  const title = element("h2", { tabindex: "-1" }, i18n.say(`subject.${kind}`, { name }));
  const page = element(
    "main",
    {},
    element(
      "section",
      {},
      element("p", {}, element("a", { href: "#" }, i18n.say("subject.back"))),
      title,
      ...(kind === "room" ? [problem, facts] : []),
    ),
    connections.section,
    entries.section,
  );

  let isAsking = false;
  const refresh = async () => {
    void connections.refresh();
    // It is called with each message of the live stream; a slow answer is waited for.
    if (kind !== "room" || isAsking) return;
    isAsking = true;
    try {
      const rows = roomFacts(context, await api.room(name));
      facts.replaceChildren(
        ...rows.map(([word, ...what]) =>
          element("div", {}, element("dt", {}, i18n.say(word)), element("dd", {}, ...what)),
        ),
      );
      problem.textContent = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.textContent = i18n.explain(error);
    } finally {
      isAsking = false;
    }
  };
  void refresh();
  void entries.load();
  return { page, refresh, focus: () => title.focus() };
}

/**
 * @param {Context} context
 * @param {Room} room
 * @returns {[string, ...(Node | string)[]][]} the word's key, then what is shown
 */
function roomFacts({ i18n, format }, room) {
  const { streams, private_queue: queue, hosts, open_polls: polls } = room;
  const hostLinks = hosts.flatMap((host) => [", ", subjectLink("user", host)]).slice(1);
  const rate = (/** @type {string} */ audience) =>
    i18n.say("room.rate", {
      lately: format.count(streams[audience]?.lately ?? 0),
      head: format.count(streams[audience]?.head ?? 0),
    });
  const unpublished = Object.values(streams).reduce((sum, each) => sum + each.unpublished, 0);
  return [
    ["room.title", element("bdi", {}, room.title || "–")],
    ["room.state", i18n.say(room.closed_at ? "room.closed" : "room.open")],
    ["room.members", format.count(room.members)],
    ["room.hosts", ...(hostLinks.length ? hostLinks : ["–"])],
    ["room.public", rate("public")],
    ["room.private", rate("private")],
    ["chart.outbox", format.count(unpublished)],
    [
      "room.queue",
      queue.problem ??
        (queue.messages === undefined
          ? i18n.say("room.noQueue")
          : i18n.say("room.queueSize", {
              messages: format.count(queue.messages),
              consumers: format.count(queue.consumers ?? 0),
            })),
    ],
    ["room.polls", polls.length ? polls.join(", ") : "–"],
  ];
}
