import { get } from "./api.js";
import { attr, h, put, say, set, sync, table } from "./dom.js";
import { count, micros, plural, rate, span, time } from "./format.js";
import { coverage, poll } from "./live.js";
import { spark, sum } from "./spark.js";

const STATES = {
  ready: "Ready", not_ready: "Not ready", draining: "Draining", missing: "No answer", dead: "Dead", gone: "Gone",
};

/** seen are the gateways that this tab has met, so that one that vanishes is not forgotten at once. */
const seen = new Map();
const FORGET_MS = 15 * 60_000;

/** withGone adds the gateways that are no longer there, and tells what has changed. */
function withGone(answer) {
  const now = Date.now();
  const present = new Set();
  for (const g of answer.gateways) {
    present.add(g.gateway);
    const before = seen.get(g.gateway);
    if (before && before.state !== g.state) say(`Gateway ${g.gateway} is ${STATES[g.state].toLowerCase()} now.`);
    seen.set(g.gateway, { ...g, at: now });
  }
  const gone = [];
  for (const [name, g] of seen) {
    if (present.has(name)) continue;
    if (now - g.at > FORGET_MS) {
      seen.delete(name);
      continue;
    }
    if (g.state !== "gone") {
      const how = g.state === "draining" ? "drained and left" : "has left the cluster";
      Object.assign(g, { state: "gone", left: now, reason: `${how}, last seen at ${time(g.at)}`, overview: null, rates: null, series: null });
      say(`Gateway ${name} ${how}.`);
    }
    gone.push({ ...g, connections: 0, sessions: 0, channels: 0, lease: null });
  }
  return [...answer.gateways, ...gone];
}

function card(label) {
  const figure = h("span", { class: "figure" }, "–");
  const detail = h("span", { class: "detail" }, " ");
  const line = spark(`${label}, the last minute`);
  const node = h("div", { class: "tile" }, h("span", { class: "label" }, label), figure, detail, line);
  return { node, show: (value, note, values) => { set(figure, value); set(detail, note || " "); line.draw(values); } };
}

/** overview shows the cluster at a glance. */
export function overview(root, { signal }) {
  const cards = { gateways: card("Gateways ready"), connections: card("Connections"), published: card("Published a second"), delivered: card("Delivered a second") };
  const readyHistory = [];
  const partial = h("p", { class: "notice bad", hidden: true });
  const trouble = h("ul", { class: "trouble", hidden: true, "aria-label": "What needs a look" });
  const list = table("Gateways", [
    { label: "Gateway" }, { label: "State" }, { label: "Connections", class: "num" }, { label: "Channels", class: "num" },
    { label: "Published/s", class: "num" }, { label: "Delivered/s", class: "num" }, { label: "Last minute", class: "sparks" },
    { label: "Round trip", class: "num" }, { label: "Lease age", class: "num" }, { label: "Up", class: "num" }, { label: "Version" },
  ]);
  put(root,
    h("h1", { class: "hidden" }, "Overview"), partial,
    h("section", { class: "tiles", "aria-label": "The cluster" }, Object.values(cards).map((c) => c.node)),
    trouble,
    h("section", { class: "panel" }, h("h2", null, "Gateways"), list.node));

  const makeRow = (g) => {
    const row = list.row();
    put(row.cell[0], h("span", { class: "name" }), h("span", { class: "sub" }));
    put(row.cell[1], h("span", { class: "state" }));
    row.spark = spark(`Delivered by ${g.gateway}, the last minute`);
    put(row.cell[6], row.spark);
    return row;
  };
  const updateRow = (row, g) => {
    const [name, state, conns, chans, pub, del, , trip, lease, up, version] = row.cell;
    attr(row, "data-state", g.state);
    set(name.firstChild, g.gateway);
    set(name.lastChild, g.reason ?? g.address ?? "");
    set(state.firstChild, STATES[g.state] ?? g.state);
    attr(state.firstChild, "data-state", g.state);
    const known = g.overview !== undefined && g.overview !== null;
    const dim = (n) => (known ? count(n) : g.state === "gone" ? "–" : `(${count(n)})`);
    set(conns, dim(g.connections));
    set(chans, dim(g.channels));
    set(pub, rate(g.rates?.published));
    set(del, rate(g.rates?.delivered));
    row.spark.draw(g.series?.delivered ?? []);
    set(trip, known ? micros(g.overview.round_trip_us) : "–");
    set(lease, g.lease ? span(g.lease.age_ms) : "–");
    set(up, known && g.start ? span(Date.now() - new Date(g.start).getTime()) : "–");
    set(version, g.version || "–");
  };

  poll(signal, 2000, async () => {
    const answer = await get("gateways", { signal });
    const all = withGone(answer);
    const t = answer.totals;
    const ready = all.filter((g) => g.state === "ready").length;
    readyHistory.push(ready);
    const series = (name) => sum(all.map((g) => g.series?.[name] ?? []));
    cards.gateways.show(`${ready} / ${all.length}`, `asked through ${answer.asked}`, readyHistory);
    attr(cards.gateways.node, "data-state", ready < all.length ? "bad" : null);
    cards.connections.show(count(t.connections), `${plural(t.sessions, "session")}, ${plural(t.subscriptions, "subscription")}`, series("connections"));
    cards.published.show(rate(t.published_per_second), "through gateways, without workers", series("published"));
    cards.delivered.show(rate(t.delivered_per_second), "to sockets", series("delivered"));
    coverage(partial, { ...answer, complete: !answer.problem, missing: [] }); // the missing stand below, each with its reason
    const problems = all.filter((g) => g.state !== "ready");
    trouble.hidden = problems.length === 0;
    sync(trouble, problems, (g) => g.gateway, () => h("li"), (li, g) => {
      attr(li, "data-state", g.state);
      set(li, `${g.gateway}: ${STATES[g.state].toLowerCase()}${g.reason ? ` – ${g.reason}` : ""}`);
    });
    sync(list.body, all, (g) => g.gateway, makeRow, updateRow);
  });
  return "Overview";
}
