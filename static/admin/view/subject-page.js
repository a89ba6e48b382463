import { element } from "../../shared/element.js";
import { subjectLink } from "../subject.js";
import { connectionsTable } from "./connections.js";
import { asking, factRows, head, problemLine } from "./facts.js";
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
  const problem = problemLine();
  const below = kind === "room" ? [problem, facts] : [];
  const { section, focus } = head(i18n, i18n.say(`subject.${kind}`, { name }), ...below);
  const page = element("main", {}, section, connections.section, entries.section);

  const askForRoom = asking(i18n, problem, async () => {
    facts.replaceChildren(...factRows(i18n, roomFacts(context, await api.room(name))));
    problem.textContent = "";
  });
  const refresh = async () => {
    void connections.refresh();
    if (kind === "room") await askForRoom();
  };
  void refresh();
  void entries.load();
  return { page, refresh, focus };
}

/**
 * @param {Context} context
 * @param {Room} room
 * @returns {import("./facts.js").Row[]}
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
