/** What a browser's `User-Agent` says about the device, in a few words. Pure. */

/** In this order: most browsers name others, too. @type {[RegExp, string][]} */
const BROWSERS = [
  [/\bEdg(e|A|iOS)?\//, "Edge"],
  [/\b(OPR|Opera)\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\bWhale\//, "Whale"],
  [/\b(Firefox|FxiOS)\//, "Firefox"],
  [/\b(Chrome|CriOS|Chromium)\//, "Chrome"],
  [/\bSafari\//, "Safari"],
];
/** @type {[RegExp, string][]} */
const SYSTEMS = [
  [/\biPad\b/, "iPad"],
  [/\biPhone\b/, "iPhone"],
  [/\bAndroid\b/, "Android"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b/, "macOS"],
  [/\bLinux\b/, "Linux"],
];
/** Characters of a program's own name. */
const SHOWN = 40;

/** @param {string} userAgent @returns {string} empty if it says nothing */
export function device(userAgent) {
  const found = [BROWSERS, SYSTEMS].map(
    (known) => known.find(([form]) => form.test(userAgent))?.[1],
  );
  return found.filter(Boolean).join(" · ") || userAgent.slice(0, SHOWN);
}
