import { get, part, query } from "./api.js";
import { h, put, set, table } from "./dom.js";
import { bytes, time } from "./format.js";
import { coverage } from "./live.js";

const OUTCOMES = {
  delivered: ["Delivered", "ready"], skipped: ["Skipped", "draining"], pending: ["Pending", "draining"], reset: ["Reset", "not_ready"],
  forbidden: ["Forbidden", "dead"], not_covered: ["Not covered", "not_ready"], not_connected: ["Not connected", "missing"],
  not_subscribed: ["Not subscribed", "not_ready"], trimmed: ["Gone", "dead"], never_published: ["Never published", "dead"], unknown: ["Unknown", "missing"],
};

const PLACES = {
  stored: "in the log", genesis: "the entry that opens the log", trimmed: "trimmed away", forked: "replaced by another entry", expired: "gone with an older log",
  never_published: "beyond the head", unknown: "not known: the store does not answer",
};

const badge = (outcome, state) => h("span", { class: "state", "data-state": state ?? OUTCOMES[outcome]?.[1] ?? "missing" }, OUTCOMES[outcome]?.[0] ?? outcome);

/** explain says what became of an event for a user. */
export function explain(root, { params, signal }) {
  const field = (name, label, placeholder) => h("p", { class: "field" }, h("label", { for: `explain-${name}` }, label),
    h("input", { id: `explain-${name}`, name, required: true, value: params[name] ?? "", placeholder, spellcheck: "false", autocomplete: "off", autocapitalize: "none" }));
  const form = h("form", { class: "panel ask", onsubmit: (e) => {
    e.preventDefault();
    const values = Object.fromEntries([...new FormData(form)].map(([k, v]) => [k, v.trim()]));
    const hash = `#/explain${query(values)}`;
    if (hash === location.hash) ask(answer, values, signal);
    else location.hash = hash;
  } }, field("user", "User", "alice@example.com"), field("channel", "Channel", "jobs:42"), field("cursor", "Cursor of the event", "41-1795514041000000"),
  h("button", { type: "submit", class: "primary" }, "Explain"));
  const answer = h("div", { class: "answer", "aria-live": "polite" });
  put(root, h("h1", null, "Why did the event not arrive?"),
    h("p", { class: "lead" }, "Who, where, and which event: the cursor stands at every event in a channel’s live tail, in dead letters, and in clients’ logs."), form, answer);
  if (params.user && params.channel && params.cursor) ask(answer, params, signal);
  else form.querySelector("input:placeholder-shown")?.focus();
  return "Explain";
}

async function ask(node, { user, channel, cursor }, signal) {
  put(node, h("p", { class: "empty panel" }, "Asking every gateway and the log …"));
  let e;
  try {
    e = await get(`explain${query({ user, channel, cursor })}`, { signal });
  } catch (p) {
    if (!signal.aborted) put(node, h("p", { class: "notice bad" }, `${p.message} (${p.code})`));
    return;
  }
  const partial = h("p", { class: "notice bad", hidden: true });
  coverage(partial, e);
  const list = table("What the gateways know", [{ label: "Outcome" }, { label: "Session" }, { label: "Gateway" }, { label: "Time" }, { label: "Detail", class: "wide" }]);
  for (const t of e.traces) {
    const row = list.row();
    // What the other gateways do not know is no trouble where one knows.
    put(row.cell[0], badge(t.outcome, t.outcome === e.outcome ? null : t.outcome.startsWith("not_") ? "none" : null));
    set(row.cell[1], t.session || "–");
    set(row.cell[2], t.gateway);
    set(row.cell[3], new Date(t.time).getFullYear() > 1 ? time(t.time) : "–");
    set(row.cell[4], t.detail ?? "");
    list.body.append(row);
  }
  const event = e.stream.event;
  put(node,
    h("section", { class: "panel verdict", "data-outcome": e.outcome }, h("p", { class: "outcome-line" }, badge(e.outcome), e.certain ? null : h("span", { class: "state", "data-state": "missing" }, "Not certain")), h("p", { class: "summary" }, e.summary)),
    partial,
    h("section", { class: "panel" }, h("h2", null, "The log"), h("dl", { class: "facts" },
      h("dt", null, "Place"), h("dd", null, PLACES[e.stream.state] ?? e.stream.state),
      h("dt", null, "Published"), h("dd", null, e.stream.published ? time(e.stream.published) : "–"),
      h("dt", null, "Head now"), h("dd", { class: "mono" }, e.stream.head ?? "–"),
      h("dt", null, "Oldest retained"), h("dd", { class: "mono" }, e.stream.first ?? "–"),
      event ? [h("dt", null, "Event"), h("dd", null, [event.type, event.subject, event.source && `from ${event.source}`, event.id && `id ${event.id}`, bytes(event.bytes)].filter(Boolean).join(" · "))] : null,
      event?.invalid ? [h("dt", null, "Invalid"), h("dd", null, event.invalid)] : null)),
    h("section", { class: "panel" }, h("h2", null, "What the gateways know"), e.traces.length ? list.node : h("p", { class: "empty" }, "Nothing about this user and this channel."),
      h("p", { class: "links" }, h("a", { href: `#/users/${part(e.user)}` }, "The user’s sessions"), h("a", { href: `#/channels/${part(e.channel)}` }, "The channel"))));
}
