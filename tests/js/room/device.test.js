import assert from "node:assert/strict";
import { test } from "node:test";
import { device } from "../../../static/room/device.js";

const KNOWN = {
  "Edge · Windows":
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36 Edg/131.0",
  "Chrome · Android":
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36",
  "Samsung Internet · Android":
    "Mozilla/5.0 (Linux; Android 14; SM-S921N) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0 Mobile Safari/537.36",
  "Safari · iPhone":
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
  "Firefox · Linux": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
  "curl/8.5.0": "curl/8.5.0",
  "": "",
};

for (const [shown, userAgent] of Object.entries(KNOWN)) {
  test(`a browser is shown as ${shown || "nothing"}`, () => {
    assert.equal(device(userAgent), shown);
  });
}

test("a program's name is cut", () => {
  assert.equal(device("x".repeat(200)).length, 40);
});
