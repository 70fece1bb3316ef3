// A line of the last minute, drawn by hand: quiet enough to stand beside a number.

import { attr, s } from "./dom.js";

const W = 120;
const H = 28;

/** spark makes an empty line; draw gives it values, the newest last. */
export function spark(label) {
  const area = s("path", { class: "area" });
  const line = s("path", { class: "line" });
  const dot = s("circle", { r: 2, class: "now" });
  const svg = s("svg", { class: "spark", viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, area, line, dot);
  svg.draw = (values, length = 60) => draw({ svg, area, line, dot }, values, length);
  svg.draw([]);
  return svg;
}

function draw({ area, line, dot }, values, length) {
  const shown = values.slice(-length);
  const top = Math.max(1, ...shown) * 1.1;
  const step = (W - 4) / (length - 1);
  const x = (i) => W - 2 - (shown.length - 1 - i) * step;
  const y = (v) => H - 2 - (v / top) * (H - 5);
  const points = shown.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`);
  const path = points.length ? `M${points.join("L")}` : `M2 ${H - 2}H${W - 2}`;
  attr(line, "d", path);
  attr(area, "d", points.length ? `${path}L${W - 2} ${H}L${x(0).toFixed(1)} ${H}Z` : "");
  attr(dot, "cx", W - 2);
  attr(dot, "cy", points.length ? y(shown.at(-1)).toFixed(1) : H - 2);
}

/** sum adds series of different length, aligned at their newest value. */
export function sum(series) {
  const length = Math.max(0, ...series.map((v) => v.length));
  const out = new Array(length).fill(0);
  for (const values of series) values.forEach((v, i) => (out[length - values.length + i] += v));
  return out;
}
