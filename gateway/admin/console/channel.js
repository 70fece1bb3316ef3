import { get, part } from "./api.js";
import { attr, h, put, set, sync, table } from "./dom.js";
import { ago, count, events, plural, span, time } from "./format.js";
import { coverage, poll } from "./live.js";
import { membersPanel } from "./members.js";
import { publishForm } from "./publish.js";
import { liveTail } from "./tail-view.js";

function fact(label) {
  const value = h("dd", null, "–");
  return { nodes: [h("dt", null, label), value], show: (text) => set(value, text) };
}

/** channel shows one channel: its log, its readers, its members, and what comes. */
export function channel(root, { args, signal }) {
  const name = args[0];
  const partial = h("p", { class: "notice bad", hidden: true });
  const facts = {
    head: fact("Head"), newest: fact("Newest event"), retained: fact("Retained"), oldest: fact("Oldest retained"),
    subscribers: fact("Subscribers"), members: fact("Members"), keeps: fact("Keeps"), delivery: fact("Delivers"),
  };
  const places = table(`Subscribers of ${name} by gateway`, [
    { label: "Gateway" }, { label: "Subscribers", class: "num" }, { label: "Has heard of", class: "wide" }, { label: "Last event", class: "nowrap" },
  ]);
  const nobody = h("p", { class: "empty" }, "Looking …");
  const members = membersPanel(name, signal);
  put(root,
    h("div", { class: "title" }, h("p", { class: "crumb" }, h("a", { href: "#/channels" }, "Channels")), h("h1", { class: "mono" }, name)), partial,
    h("div", { class: "columns" },
      h("div", null,
        h("section", { class: "panel" }, h("h2", null, "The log"), h("dl", { class: "facts" }, Object.values(facts).flatMap((f) => f.nodes))),
        h("section", { class: "panel" }, h("h2", null, "Subscribers by gateway"), places.node, nobody),
        members.node,
        publishForm(name)),
      liveTail(name, signal)));

  poll(signal, 2500, async () => {
    const c = await get(`channels/${part(name)}`, { signal });
    coverage(partial, c);
    const log = c.stream;
    const silent = c.stream_problem ?? (log.exists ? "–" : "no log: never used, or expired");
    facts.head.show(log?.exists ? log.head : silent);
    facts.newest.show(log?.exists && log.newest ? `${time(log.newest)} (${ago(log.newest)})` : "–");
    facts.retained.show(log?.exists ? plural(events(log), "event") : "–");
    facts.oldest.show(log?.first ? `${log.first} (${ago(log.oldest)})` : "–");
    facts.subscribers.show(count(c.subscribers));
    facts.members.show(c.presence ? `${count(c.presence.count)} with ${plural(c.presence.sessions, "session")}${c.presence.stale_since ? `, stale since ${time(c.presence.stale_since)}` : ""}` : "not tracked");
    facts.keeps.show(`${plural(c.namespace.maxlen, "event")}, ${span(c.namespace.ttl_ms)} after the last`);
    facts.delivery.show(c.namespace.delivery === "latest" ? "the latest of each subject" : "every event");
    nobody.hidden = c.gateways.length > 0;
    set(nobody, "No gateway has this channel open: nobody is subscribed.");
    sync(places.body, c.gateways, (g) => g.gateway, () => places.row(), (row, g) => {
      set(row.cell[0], g.gateway);
      set(row.cell[1], count(g.subscribers));
      const behind = log?.exists && g.head !== log.head;
      set(row.cell[2], behind ? `${g.head} – the log is at ${log.head}` : "the head");
      attr(row.cell[2], "data-state", behind ? "warn" : null);
      set(row.cell[3], g.last_event ? ago(g.last_event) : "–");
    });
    members.refresh(c.presence);
  });
  return name;
}
