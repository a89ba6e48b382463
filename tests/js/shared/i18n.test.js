import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseLanguage, I18n } from "../../../static/shared/i18n.js";
import { ROOM_WORDS } from "../../../static/room/words.js";
import { WORDS } from "../../../static/shared/words.js";

for (const [name, words] of Object.entries({ WORDS, ROOM_WORDS })) {
  test(`every language says the same things with the same values: ${name}`, () => {
    const values = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
    assert.deepEqual(Object.keys(words.ko).sort(), Object.keys(words.en).sort());
    for (const [key, text] of Object.entries(words.en)) {
      assert.deepEqual(values(words.ko[key]), values(text), key);
    }
  });
}

test("the browser's first language that the page speaks is taken, else English", () => {
  assert.equal(chooseLanguage(["fr-FR", "ko-KR", "en"]), "ko");
  assert.equal(chooseLanguage(["en-GB", "ko"]), "en");
  assert.equal(chooseLanguage(["KO"]), "ko");
  assert.equal(chooseLanguage(["fr", "de"]), "en");
  assert.equal(chooseLanguage([]), "en");
});

test("values are put into the words as they are", () => {
  const i18n = new I18n("en");
  assert.equal(i18n.say("members.removeWho", { user: "$& {user} <b>" }), "Remove $& {user} <b>");
});

test("a problem is told by its code, and an unknown one as the gateway put it", () => {
  const i18n = new I18n("ko");
  assert.equal(i18n.explain({ code: "room_closed", detail: "room 42 is closed" }), "닫힌 방입니다");
  assert.equal(i18n.explain({ code: "new_code", detail: "because" }), "because");
  assert.equal(i18n.explain({ code: "new_code", detail: "" }), "new_code");
});

test("a reason that has the gateway's detail in it takes it over", () => {
  const told = new I18n("en").explain({ code: "invalid_request", detail: "title: too long" });
  assert.equal(told, "the server does not take this: title: too long");
});

test("someone who is kept out reads until when, and the admin's own words", () => {
  const i18n = new I18n("ko");
  // The gateway's text: tests/unit/test_page_words.py.
  const detail = "an admin keeps you out until 2030-01-02T03:04:00Z: Go home";
  const until = i18n.time(new Date("2030-01-02T03:04:00Z"), new Date());
  const told = i18n.explain({ code: "kept_out", detail });
  assert.equal(told, `관리자가 ${until}까지 들어오지 못하게 했습니다: Go home`);
  const short = i18n.explain({ code: "kept_out", detail: detail.slice(0, -": Go home".length) });
  assert.equal(short, `관리자가 ${until}까지 들어오지 못하게 했습니다`);
  assert.equal(i18n.explain({ code: "kept_out", detail: "" }), i18n.words["problem.kept_out"]);
});

test("a value that is written from right to left stays apart from the words around it", () => {
  const i18n = new I18n("en");
  assert.equal(i18n.say("people.callOnWho", { user: "דנה" }), "Call on \u2068דנה\u2069");
  assert.equal(i18n.say("people.callOnWho", { user: "dana" }), "Call on dana");
});

test("the day is told only for another day", () => {
  const i18n = new I18n("en");
  const now = new Date(2030, 0, 2, 12, 0);
  assert.match(i18n.time(new Date(2030, 0, 2, 9, 5), now), /^9:05\sAM$/);
  assert.match(i18n.time(new Date(2030, 0, 1, 9, 5), now), /^1\/1\/30, 9:05\sAM$/);
});

test("a time that lasts is told in people's units", () => {
  for (const [seconds, en, ko] of [
    [0, "0 seconds", "0초"],
    [1, "1 second", "1초"],
    [30, "30 seconds", "30초"],
    [300, "5 minutes", "5분"],
    [90, "1 minute 30 seconds", "1분 30초"],
    [3600, "1 hour", "1시간"],
    [3661, "1 hour 1 minute 1 second", "1시간 1분 1초"],
  ]) {
    assert.equal(new I18n("en").duration(seconds), en);
    assert.equal(new I18n("ko").duration(seconds), ko);
  }
});
