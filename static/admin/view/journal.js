import { Problem } from "../../interact/problem.js";
import { bdi, element, field } from "../../shared/element.js";
import { subjectLink } from "../subject.js";
import { messageSearch } from "./message-page.js";
import { table } from "./rows.js";

/** @typedef {import("../api.js").Entry} Entry */
/** @typedef {import("../api.js").Criteria} Criteria */
/** @typedef {import("../main.js").Context} Context */

const KINDS = ["connection", "close", "refusal", "failover", "node", "state", "action", "gateway"];

/**
 * The journal: what has happened at all gateways, as the database has it. With a `subject` it is searched
 * for that alone, and no form is shown.
 *
 * @param {Context} context
 * @param {Criteria} [subject]
 */
export function journal(context, subject) {
  const { i18n, format, api } = context;
  /** @type {Entry[]} */
  let shown = [];
  /** @type {string | undefined} */
  let next;
  let asked = 0;

  const text = () => element("input", { dir: "auto", autocomplete: "off", spellcheck: "false" });
  const moment = () => element("input", { type: "datetime-local", dir: "auto" });
  const inputs = { user: text(), room: text(), address: text(), from: moment(), to: moment() };
  inputs.room.inputMode = "numeric";
  const kinds = element(
    "select",
    {},
    element("option", { value: "" }, i18n.say("journal.all")),
    ...KINDS.map((kind) => element("option", { value: kind }, i18n.say(`kind.${kind}`))),
  );
  const problem = element("p", { role: "alert", class: "problem" });
  const more = element(
    "button",
    { type: "button", hidden: true, click: () => load(next) },
    i18n.say("journal.more"),
  );

  const grid = table({
    caption: i18n.say("journal.title"),
    empty: i18n.say("journal.none"),
    key: (/** @type {Entry} */ { id }) => `${id}`,
    columns: [
      {
        label: i18n.say("events.time"),
        kind: "name",
        cell: ({ at }) => [format.moment(Date.parse(at) / 1000)],
      },
      {
        label: i18n.say("events.kind"),
        cell: ({ kind }) => [
          element("span", { class: "kind", "data-kind": kind }, i18n.words[`kind.${kind}`] ?? kind),
        ],
      },
      { label: i18n.say("events.what"), cell: what },
      { label: i18n.say("events.who"), cell: who },
      { label: i18n.say("events.detail"), kind: "wide", cell: why },
      { label: i18n.say("events.gateway"), kind: "name", cell: ({ gateway }) => [bdi(gateway)] },
    ],
  });

  /** @param {Entry} entry */
  function what({ code, status, client_status }) {
    const word = i18n.words[`code.${code}`] ?? code.replaceAll("_", " ");
    const codes = [status, client_status].filter((each) => each !== undefined);
    return [codes.length ? `${word} (${codes.join(" / ")})` : word];
  }

  /** @param {Entry} entry */
  function who({ user, by, room, address, node, connection }) {
    const found = [
      user && subjectLink("user", user),
      room && subjectLink("room", `${room}`, i18n.say("subject.room", { name: room })),
      connection && subjectLink("connection", connection, i18n.say("journal.connection")),
      address && bdi(address),
      node && bdi(node),
      by && i18n.say("journal.by", { user: by }),
    ];
    const parts = found.flatMap((each) => (each ? [" · ", each] : [])).slice(1);
    return parts.length ? parts : ["–"];
  }

  /** @param {Entry} entry */
  function why({ detail, since, at, bytes_in, bytes_out, browser }) {
    /** @type {(Node | string)[]} */
    const facts = [];
    if (since && bytes_in !== undefined && bytes_out !== undefined) {
      const span = format.span((Date.parse(at) - Date.parse(since)) / 1000);
      const [came, went] = [format.bytes(bytes_in), format.bytes(bytes_out)];
      facts.push(i18n.say("journal.lasted", { span, in: came, out: went }));
    }
    if (browser) facts.push(bdi(browser));
    const told = facts.flatMap((each) => [" · ", each]).slice(1);
    return [bdi(detail ?? ""), " ", element("small", {}, ...told)];
  }

  /** @returns {Criteria} */
  const criteria = () => {
    if (subject) return subject;
    const { user, room, address, from, to } = inputs;
    const given = {
      user: user.value.trim(),
      room: room.value.trim(),
      address: address.value.trim(),
      kind: kinds.value,
      from: from.value && new Date(from.value).toISOString(),
      to: to.value && new Date(to.value).toISOString(),
    };
    return Object.fromEntries(Object.entries(given).filter(([, value]) => value));
  };

  /** @param {string} [after] */
  async function load(after) {
    const number = ++asked;
    try {
      const page = await api.journal(after ? { ...criteria(), after } : criteria());
      if (number !== asked) return;
      problem.textContent = "";
      shown = after ? [...shown, ...page.events] : page.events;
      next = page.next;
      more.hidden = next === undefined;
      grid.show(shown);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (number === asked) problem.textContent = i18n.explain(error);
    }
  }

  const form = element(
    "form",
    {
      class: "journal",
      submit: (event) => {
        event.preventDefault();
        void load();
      },
    },
    ...Object.entries(inputs).map(([name, input]) => field(i18n.say(`journal.${name}`), input)),
    field(i18n.say("events.kind"), kinds),
    element("button", {}, i18n.say("connections.search")),
  );
  const section = element(
    "section",
    { "aria-labelledby": "journal-title" },
    element("h2", { id: "journal-title" }, i18n.say("journal.title")),
    ...(subject ? [] : [form]),
    problem,
    grid.frame,
    element("div", { class: "row end" }, more),
    ...(subject ? [] : [messageSearch(context)]),
  );
  return { section, load: () => load() };
}
