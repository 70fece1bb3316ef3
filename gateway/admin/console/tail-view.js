import { attr, h, put, set } from "./dom.js";
import { bytes, plural, pretty, time } from "./format.js";
import { part } from "./api.js";
import { Tail } from "./tail.js";

const KEPT = 500; // events that can be looked at
const SHOWN = 200; // of them in the page

/** liveTail is the panel that follows a channel. */
export function liveTail(channel, signal) {
  let kept = []; // the newest first
  let paused = false;
  let waiting = 0; // events that came while paused
  let scheduled = false;
  let total = 0;

  const status = h("span", { class: "pulse", "data-state": "waiting" }, h("span", { class: "dot", "aria-hidden": "true" }), h("span", null, "Connecting"));
  const filter = h("input", { type: "search", id: "tail-filter", placeholder: "type or subject, as job.* or job/42", spellcheck: "false", autocomplete: "off", autocapitalize: "none" });
  const pause = h("button", { type: "button", "aria-pressed": "false" }, "Pause");
  const clear = h("button", { type: "button", class: "quiet" }, "Clear");
  const figures = h("span", { class: "detail" }, " ");
  const lines = h("ol", { class: "tail", tabindex: "0", "aria-label": `Events of ${channel}, the newest first` });
  const hint = h("p", { class: "empty" }, "Nothing has come since this page was opened.");

  const draw = () => {
    scheduled = false;
    const wanted = matcher(filter.value);
    const shown = kept.filter((k) => k.reset || wanted(k)).slice(0, SHOWN);
    const open = new Set([...lines.querySelectorAll("details[open]")].map((d) => d.dataset.cursor));
    // Lines never change: those that are there stay, with what is open in them.
    const have = new Map([...lines.children].map((li) => [li.dataset.key, li]));
    put(lines, ...shown.map((k) => have.get(k.key) ?? line(channel, k, open)));
    hint.hidden = shown.length > 0;
    set(hint, kept.length ? "No event matches the filter." : "Nothing has come since this page was opened.");
    set(figures, paused ? `paused, ${plural(waiting, "new event")}` : `${plural(total, "event")} seen${kept.length > SHOWN ? `, the newest ${SHOWN} shown` : ""}`);
  };
  const later = () => {
    if (scheduled) return;
    scheduled = true;
    setTimeout(draw, 100); // a busy channel is drawn ten times a second at most
  };
  const add = (item) => {
    kept.unshift(item);
    if (kept.length > KEPT) kept.length = KEPT;
  };
  let held = [];
  pause.addEventListener("click", () => {
    paused = !paused;
    attr(pause, "aria-pressed", paused);
    set(pause, paused ? "Go on" : "Pause");
    if (!paused) {
      held.forEach(add);
      held = [];
      waiting = 0;
    }
    draw();
  });
  clear.addEventListener("click", () => { kept = []; held = []; waiting = 0; draw(); });
  filter.addEventListener("input", later);

  const take = (item) => {
    total++;
    if (paused) {
      held.push(item);
      if (held.length > KEPT) held.shift();
      waiting++;
    } else {
      add(item);
    }
    later();
  };
  const tail = new Tail(channel, {
    onEvent: (f) => take({ key: f.cursor, cursor: f.cursor, event: f.event, skipped: f.skipped }),
    onReset: (f) => take({ key: `reset ${f.cursor} ${total}`, reset: f.reason, cursor: f.cursor }),
    onStatus: (state, text) => {
      attr(status, "data-state", state === "impossible" ? "lost" : state);
      set(status.lastChild, state === "impossible" ? "Not possible" : text);
      if (state === "impossible") {
        hint.hidden = false;
        set(hint, text);
      }
    },
  });
  signal.addEventListener("abort", () => tail.stop());

  return h("section", { class: "panel tail-panel", "aria-labelledby": "h-tail" },
    h("div", { class: "head" }, h("h2", { id: "h-tail" }, "Live tail"), status, figures),
    h("div", { class: "controls" }, h("label", { class: "hidden", for: "tail-filter" }, "Filter by type or subject"), filter, pause, clear),
    lines, hint);
}

/** matcher makes a test of a filter: words that all must be in the type or the subject; * stands for anything. */
function matcher(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean).map((w) => {
    const pattern = w.split("*").map((piece) => piece.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*");
    return new RegExp(w.includes("*") ? `^${pattern}$` : pattern);
  });
  return ({ event }) => {
    const fields = [event.type, event.subject ?? ""].map((f) => String(f).toLowerCase());
    return words.every((w) => fields.some((f) => w.test(f)));
  };
}

function line(channel, k, open) {
  if (k.reset) {
    return h("li", { class: "reset", data: { key: k.key } }, `Reset: ${k.reset}. Events before ${k.cursor} may be missing here.`);
  }
  const e = k.event;
  const at = new Date(Number(k.cursor.split("-")[1]) / 1000);
  const text = e.data === undefined ? "" : JSON.stringify(e.data);
  const body = h("div", { class: "event" });
  const details = h("details", { data: { cursor: k.cursor }, open: open.has(k.cursor) },
    h("summary", null, h("time", null, time(at)), h("b", null, e.type), h("span", { class: "subject" }, e.subject ?? ""),
      h("span", { class: "data" }, text.slice(0, 160)), k.skipped ? h("span", { class: "skipped" }, `${k.skipped} skipped before`) : null),
    body);
  details.addEventListener("toggle", () => {
    if (!details.open || body.firstChild) return;
    put(body, h("p", null, "Cursor ", h("code", null, k.cursor), ` · ${bytes(text.length)} · `,
      h("a", { href: `#/explain?channel=${part(channel)}&cursor=${part(k.cursor)}` }, "Who got it?")),
    h("pre", { tabindex: "0" }, pretty(JSON.stringify(e))));
  });
  return h("li", { data: { key: k.key } }, details);
}
