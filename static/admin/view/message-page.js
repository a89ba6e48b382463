import { isolated } from "../../shared/bidi.js";
import { element, field } from "../../shared/element.js";
import { subjectLink } from "../subject.js";
import { asking, factRows, head, problemLine } from "./facts.js";

/** @typedef {import("../main.js").Context} Context */
/** @typedef {import("../api.js").Trace} Trace */
/** @typedef {import("../api.js").Passage} Passage */
/** @typedef {import("./facts.js").Row} Row */

/** The form that leads to a message's page. @param {Context} context */
export function messageSearch({ i18n }) {
  const id = element("input", { dir: "auto", autocomplete: "off", spellcheck: "false" });
  return element(
    "form",
    {
      class: "trace",
      submit: (event) => {
        event.preventDefault();
        const wanted = id.value.trim();
        if (wanted) location.hash = `#/message/${encodeURIComponent(wanted)}`;
      },
    },
    field(i18n.say("message.id"), id, i18n.say("message.idHint")),
    element("button", {}, i18n.say("message.find")),
  );
}

/**
 * The page of a message, or of those of a request: how far it came, at which gateway.
 *
 * @param {Context} context
 * @param {string} id
 */
export function messagePage(context, id) {
  const { i18n, api } = context;
  const problem = problemLine();
  const found = element("div", {});
  const { section, focus } = head(i18n, i18n.say("subject.message", { name: id }), problem, found);
  const page = element("main", {}, section);

  /** What stands there: it is not made anew while somebody selects it, or works with its links. */
  let shown = "";
  const ask = async () => {
    const { messages, missing } = await api.message(id);
    const news = JSON.stringify([messages, missing]);
    if (news === shown) return;
    shown = news;
    found.replaceChildren(...messages.map((each) => facts(context, each)));
    const silent = Object.entries(missing).map(([gateway, why]) => i18n.say("missing.one", { gateway, why }));
    problem.textContent = [...(messages.length ? [] : [i18n.say("message.none")]), ...silent].join(" · ");
  };
  const refresh = asking(i18n, problem, ask, () => {
    shown = "";
  });
  void refresh();
  return { page, refresh, focus };
}

/** @param {Context} context @param {Trace} trace */
function facts(context, trace) {
  const { i18n, format } = context;
  const { room, audience, seq, sender } = trace;
  /** @type {Row[]} */
  const rows = [
    ["message.place", subjectLink("room", `${room}`, `${audience}.${room}/${seq}`)],
    ["message.id", isolated(trace.id)],
    ["message.sender", sender ? subjectLink("user", sender) : "–"],
    ["message.type", isolated(trace.type)],
    ["message.sent", format.moment(Date.parse(trace.sent_at) / 1000)],
    ["message.size", format.bytes(trace.bytes)],
    ["message.broker", i18n.say(trace.published ? "message.confirmed" : "message.waits")],
    ...trace.gateways.map((each) => passage(context, each)),
  ];
  return element("dl", { class: "facts" }, ...factRows(i18n, rows));
}

/** @param {Context} context @param {Passage} passage @returns {Row} */
function passage({ i18n, format }, { gateway, posts, delivered, subscribers }) {
  const came = posts.map(({ request, stored_at, answered_at }) => {
    const [at, answered] = [Date.parse(stored_at), Date.parse(answered_at ?? "")];
    const facts = { at: format.moment(at / 1000), span: format.latency((answered - at) / 1000) };
    const word = answered_at === undefined ? "message.unanswered" : "message.stored";
    const link = subjectLink("connection", request, i18n.say("message.request", { id: request }));
    return element("span", {}, i18n.say(word, facts), " (", link, "), ");
  });
  const word = delivered === undefined ? "unfollowed" : delivered ? "delivered" : "undelivered";
  return [gateway, ...came, i18n.say(`message.${word}`, { count: format.count(subscribers) })];
}
