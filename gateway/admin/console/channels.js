import { get, part, query } from "./api.js";
import { h, put, set, sync, table } from "./dom.js";
import { ago, count, events, plural } from "./format.js";
import { coverage, poll } from "./live.js";

const PAGE = 50;

/** channels lists what is open anywhere, by prefix and in pages. */
export function channels(root, { params, signal }) {
  const prefix = params.prefix ?? "";
  const afters = params.after ? params.after.split(" ") : []; // the pages before, so that one can go back
  const partial = h("p", { class: "notice bad", hidden: true });
  const input = h("input", { type: "search", id: "prefix", value: prefix, placeholder: "jobs:", spellcheck: "false", autocomplete: "off", autocapitalize: "none" });
  const list = table("Channels", [
    { label: "Channel" }, { label: "Subscribers", class: "num" }, { label: "On gateways", class: "wide" }, { label: "Head", class: "num" },
    { label: "Retained", class: "num" }, { label: "Newest", class: "nowrap" },
  ]);
  const empty = h("p", { class: "empty" }, "Looking …");
  const where = h("span", { class: "page" }, "");
  const back = h("button", { type: "button", disabled: afters.length === 0, onclick: () => go(prefix, afters.slice(0, -1)) }, "Previous");
  const next = h("button", { type: "button", disabled: true, onclick: () => go(prefix, [...afters, following]) }, "Next");
  let following = "";
  put(root, h("h1", null, "Channels"),
    h("form", { class: "filter", role: "search", onsubmit: (e) => { e.preventDefault(); go(input.value.trim(), []); } },
      h("label", { for: "prefix" }, "Begins with"), input, h("button", { type: "submit", class: "primary" }, "Search")),
    partial,
    h("section", { class: "panel" }, list.node, empty, h("div", { class: "pager" }, back, where, next)));

  poll(signal, 3000, async () => {
    const answer = await get(`channels${query({ prefix, after: afters.at(-1), limit: PAGE })}`, { signal });
    following = answer.next;
    next.disabled = !following;
    coverage(partial, answer);
    empty.hidden = answer.channels.length > 0;
    set(empty, prefix ? `No channel that begins with “${prefix}” is open at a gateway. One without readers can be looked at by its name.` : "No channel is open at a gateway: nobody is subscribed.");
    set(where, answer.channels.length ? `Page ${afters.length + 1}, ${plural(answer.channels.length, "channel")}` : "");
    sync(list.body, answer.channels, (c) => c.channel, (c) => {
      const row = list.row();
      put(row.cell[0], h("a", { class: "name", href: `#/channels/${part(c.channel)}` }, c.channel));
      return row;
    }, (row, c) => {
      set(row.cell[1], count(c.subscribers));
      set(row.cell[2], c.gateways.map((g) => `${g.gateway} (${g.subscribers})`).join(", "));
      set(row.cell[3], c.stream?.exists ? count(Number(c.stream.head.split("-")[0])) : "–");
      set(row.cell[4], c.stream ? count(events(c.stream)) : c.stream_problem);
      set(row.cell[5], c.stream?.newest ? ago(c.stream.newest) : "–");
    });
  });
  return prefix ? `Channels ${prefix}` : "Channels";
}

function go(prefix, afters) {
  location.hash = `#/channels${query({ prefix, after: afters.join(" ") })}`;
}
