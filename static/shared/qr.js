import encodeQR from "../vendor/qr/index.js";
import { element } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
/** Light modules around the code (ISO/IEC 18004 requires four; the frame has the others). */
const QUIET = 2;

/** A QR code. @param {string} text @param {string} label */
export function qrCode(text, label) {
  const rows = /** @type {boolean[][]} */ (encodeQR(text, "raw", { border: QUIET }));
  const dark = rows.flatMap((row, y) =>
    row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])),
  );
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${rows.length} ${rows.length}`);
  svg.setAttribute("shape-rendering", "crispEdges");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", dark.join(""));
  svg.append(path);
  return element("div", { class: "code", role: "img", "aria-label": label }, svg);
}
