import assert from "node:assert/strict";
import { test } from "node:test";
import { linksIn } from "../../../static/room/links.js";

/** The texts that are links. @param {string} text */
const links = (text) => linksIn(text).flatMap((piece) => (typeof piece === "string" ? [] : [piece.text]));
const whole = (text) => linksIn(text).map((piece) => (typeof piece === "string" ? piece : piece.text)).join("");

/** What stands in brackets is the link. @param {...string} marked */
function linked(...marked) {
  for (const text of marked) {
    const plain = text.replaceAll("⟦", "").replaceAll("⟧", "");
    const wanted = [...text.matchAll(/⟦([^⟧]*)⟧/g)].map(([, link]) => link);
    assert.deepEqual(links(plain), wanted, plain);
    assert.equal(whole(plain), plain);
  }
}

test("addresses with their scheme are links, nothing else is", () => {
  linked(
    "⟦https://example.org/a?b=c&d=%20#e⟧",
    "see ⟦http://example.org⟧ and ⟦HTTPS://EXAMPLE.ORG/A⟧ too",
    "⟦http://127.0.0.1:8080/x⟧ ⟦http://[::1]/⟧",
    "⟦mailto:ms.taylor@example.org⟧",
    "www.example.org example.org ms.taylor@example.org 1:2",
    "javascript:alert(1) data:text/html,x file:///etc/passwd ftp://example.org vbscript:x",
    "xhttps://example.org myhttp://example.org git+https://example.org",
    "https:// http:///x https://? mailto: mailto:@ mailto:a@b",
    "",
  );
});

test("what ends the sentence is no part of the address", () => {
  linked(
    "Look at ⟦https://example.org/a⟧.",
    "Look at ⟦https://example.org/a⟧, then ⟦https://example.org/b⟧; or “⟦https://example.org/c⟧”!",
    "(⟦https://example.org/a⟧) [⟦https://example.org/b⟧] <⟦https://example.org/c⟧> *⟦https://example.org/d⟧*",
    "Is it ⟦https://example.org/?q=why⟧?!",
    "⟦https://en.wikipedia.org/wiki/Leaf_(botany)⟧",
    "(⟦https://en.wikipedia.org/wiki/Leaf_(botany)⟧).",
    "⟦https://example.org/a.b,c;d⟧...",
    "见⟦https://example.org/a⟧。还有「⟦https://example.org/b⟧」、等等",
  );
});

test("Korean particles behind an address are no part of it, Korean page names are", () => {
  linked(
    "⟦https://example.org/a⟧에서 보세요",
    "⟦https://example.org⟧에서 보세요. ⟦https://example.org/⟧에 있어요",
    "링크는⟦https://example.org/a⟧입니다.",
    "⟦https://example.org/a?b=1⟧을 보고 (⟦https://example.org/b⟧)를 보세요",
    "⟦https://ko.wikipedia.org/wiki/광합성⟧ 참고",
    "⟦https://ko.wikipedia.org/wiki/가을⟧ ⟦https://ko.wikipedia.org/wiki/이⟧ ⟦https://namu.wiki/w/K팝⟧",
    "⟦https://한글.한국/가나⟧ ⟦https://xn--bj0bj06e.kr⟧은",
    "⟦https://example.org⟧이라고쓴다",
    "⟦mailto:kim@example.org⟧으로 보내세요",
  );
});

test("nothing pretends to lead somewhere else", () => {
  linked(
    "https://bank.example@evil.example/ https://a:b@evil.example",
    "⟦https://example.org/⟧\u202egro.live",
    "⟦https://example.org/⟧\u200bx",
    "⟦mailto:ms.taylor@example.org⟧?bcc=spy@evil.example&body=x",
  );
});

test("a link leads where its text says", () => {
  assert.deepEqual(linksIn("x https://example.org/가을 y"), [
    "x ",
    { text: "https://example.org/가을", href: "https://example.org/%EA%B0%80%EC%9D%84" },
    " y",
  ]);
});

test("the longest text is read in no time, whatever it is made of", () => {
  for (const part of ["https://", "(", "https://a)", "https://a.b/가", "mailto:a@", "https://x/.,", "https://x/)(", ")", "에서.)", "가", `${"가".repeat(9_999)}x`]) {
    const text = part.repeat(Math.ceil(10_000 / part.length));
    const began = performance.now();
    assert.equal(whole(text), text);
    assert.equal(whole(`https://example.org/${text}`), `https://example.org/${text}`);
    assert.ok(performance.now() - began < 200, part);
  }
});
