import { Problem } from "../../interact/index.js";
import { isLine, LONGEST_LINE } from "../bodies.js";
import { fileOf, fits, MOST_QUESTIONS, readFile, setsOf } from "../sets.js";
import { element, field } from "../../shared/element.js";
import { limited } from "../../shared/limit.js";
import { switchOff } from "../../shared/off.js";
import { keyed } from "./keyed.js";
import { sureButton } from "./sure-button.js";

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../classroom.js").Classroom} Classroom */
/** @typedef {import("../sets.js").Prepared} Prepared */
/** @typedef {import("../sets.js").QuestionSet} QuestionSet */
/** @typedef {QuestionSet["questions"][number]} Question */

/**
 * The sets of prepared questions of a room.
 *
 * @param {I18n} i18n
 * @param {Classroom} classroom
 * @param {{start: (question: Prepared) => void, edit: (question: Prepared) => void}} acts
 */
export function preparedSets(i18n, classroom, acts) {
  let chosen = "";
  let canStart = true;
  /** The question that is in the form. @type {Question | null} */
  let edited = null;
  const choose = element("select", {
    "aria-label": i18n.say("sets.choose"),
    change: () => {
      chosen = choose.value;
      classroom.changed();
    },
  });
  const title = element("input", {
    ...{ autocomplete: "off", dir: "auto" },
    change: () => {
      const set = current();
      if (set && isLine(title.value)) classroom.nameSet({ id: set.id, title: title.value.trim() });
    },
  });
  const list = element("ol", { class: "prepared" });
  const empty = element("p", { class: "soft" }, i18n.say("sets.empty"));
  const note = element("p", { class: "soft", role: "status" });
  const rooms = element("select", { "aria-label": i18n.say("sets.room"), change: () => void tell(copy()) });
  const file = element("input", {
    ...{ type: "file", accept: ".json,application/json", class: "hidden-text", dir: "auto", tabindex: "-1", "aria-hidden": "true" },
    change: () => void tell(read()),
  });
  const plain = (/** @type {string} */ key, /** @type {() => void} */ click) =>
    element("button", { type: "button", click }, i18n.say(key));
  const save = plain("sets.save", () => current() && download(/** @type {QuestionSet} */ (current())));
  const drop = sureButton(i18n, i18n.say("sets.drop"), () => {
    const set = current();
    if (set) classroom.dropSet(set);
  });
  const more = element(
    "details",
    { toggle: () => more.open && void tell(listRooms()) },
    element("summary", {}, i18n.say("sets.more")),
    field(i18n.say("sets.title"), title, limited(i18n, title, LONGEST_LINE).counter),
    field(i18n.say("sets.copy"), rooms, i18n.say("sets.copyHint")),
    element(
      "div",
      { class: "row" },
      plain("sets.new", () => make()),
      plain("sets.load", () => file.click()),
      ...[save, drop, file],
    ),
    note,
  );
  const root = element(
    "section",
    { class: "desk", "aria-label": i18n.say("sets.title.all") },
    element("h3", {}, i18n.say("sets.title.all")),
    ...[choose, empty, list, more],
  );

  const all = () => setsOf(classroom.state.private.entries("set:"));
  const current = () => all().find(({ id }) => id === chosen) ?? all()[0] ?? null;
  const show = keyed(list, {
    key: (question) => JSON.stringify(question),
    make: (/** @type {Question} */ question) => {
      const named = (/** @type {string} */ key) => ({
        "aria-label": i18n.say(`${key}.which`, { question: question.question }),
      });
      const button = (/** @type {string} */ key, /** @type {() => void} */ click, name = "") =>
        element("button", { type: "button", click, ...named(key), ...(name ? { class: name } : {}) }, i18n.say(key));
      const remove = sureButton(
        i18n,
        i18n.say("sets.remove"),
        () => classroom.unprepare(current()?.id ?? "", question),
        named("sets.remove"),
      );
      return element(
        "li",
        {},
        element("p", { class: "soft" }, i18n.say(`kind.${question.kind}`)),
        element("p", { class: "text", dir: "auto" }, question.question),
        element(
          "div",
          { class: "row" },
          button("sets.start", () => acts.start(question), "start-prepared"),
          button("sets.edit", () => {
            edited = question;
            acts.edit(question);
          }),
          remove,
        ),
      );
    },
  });

  /** @param {readonly Prepared[]} [questions] */
  const make = (questions = [], title = i18n.say("sets.untitled", { number: all().length + 1 })) => {
    chosen = classroom.makeSet({ title, questions });
  };
  const read = async () => {
    const given = file.files?.[0];
    file.value = "";
    if (!given) return;
    const set = readFile(await given.text());
    if (set !== null) make(set.questions, set.title);
    note.textContent = i18n.say(set !== null ? "sets.loaded" : "sets.unreadable");
  };
  const listRooms = async () => {
    const { rooms: mine } = await classroom.untilDone(() => classroom.connection.call("GET", "/api/rooms"));
    const others = mine.filter(
      (/** @type {any} */ { id, role }) => role === "host" && id !== classroom.info.id,
    );
    rooms.replaceChildren(
      element("option", { value: "" }, i18n.say(others.length > 0 ? "sets.room" : "sets.noRoom")),
      ...others.map((/** @type {any} */ room) => element("option", { value: `${room.id}`, dir: "auto" }, room.title)),
    );
  };
  const copy = async () => {
    const from = Number(rooms.value);
    rooms.value = "";
    if (!from) return;
    const found = setsOf((await classroom.readKept(from, "private")).entries("set:"));
    for (const { title, questions } of found) make(questions.map(({ id, ...question }) => question), title);
    note.textContent = i18n.say("sets.copied", { count: found.length });
  };

  /** Say why a task has failed. @param {Promise<void>} task */
  const tell = async (task) => {
    try {
      await task;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      note.textContent = i18n.explain(error);
    }
  };

  return {
    root,
    /** Add a question to the set that is shown, or put it in the place of the one that was edited. @param {Prepared} question @returns {boolean} whether there is room */
    add(question) {
      const set = current();
      const { length } = set?.questions ?? [];
      const old = set?.questions.find(({ id }) => id === edited?.id) ?? null;
      if (!fits(question) || (old === null && length >= MOST_QUESTIONS)) return false;
      const last = set?.questions.at(-1)?.place ?? 0;
      if (set === null) make([question]);
      else classroom.prepare(set.id, old ? { ...question, id: old.id, place: old.place } : { ...question, place: last + 1 });
      edited = null;
      return true;
    },
    /** @param {{canStart: boolean}} now */
    update(now) {
      ({ canStart } = now);
      root.hidden = classroom.isReadOnly;
      if (root.hidden) return;
      const sets = all();
      const set = current();
      const names = JSON.stringify(sets.map(({ id, title }) => [id, title]));
      if (choose.dataset.sets !== names) {
        choose.dataset.sets = names;
        choose.replaceChildren(...sets.map(({ id, title }) => element("option", { value: id, dir: "auto" }, title)));
      }
      choose.value = set?.id ?? "";
      choose.hidden = sets.length < 2;
      empty.hidden = set !== null && set.questions.length > 0;
      for (const part of [save, drop]) part.hidden = set === null;
      title.disabled = set === null;
      if (document.activeElement !== title) title.value = set?.title ?? "";
      show(set?.questions ?? []);
      for (const button of list.querySelectorAll(".start-prepared")) {
        switchOff(/** @type {HTMLButtonElement} */ (button), !canStart);
      }
    },
  };
}

/** Save a set as a file. @param {QuestionSet} set */
function download(set) {
  const address = URL.createObjectURL(new Blob([fileOf(set)], { type: "application/json" }));
  const link = element("a", { href: address, download: `${set.title.replace(/[^\p{L}\p{N} _-]/gu, "").trim() || "questions"}.json` });
  link.click();
  URL.revokeObjectURL(address);
}
