import { get, part, post } from "./api.js";
import { confirm } from "./confirm.js";
import { attr, h, put, set, sync } from "./dom.js";
import { ago, plural, time } from "./format.js";
import { coverage, poll } from "./live.js";

/** users asks whom to look at, and shows where that one is connected. */
export function users(root, { args, signal }) {
  const user = args[0] ?? "";
  const input = h("input", { type: "search", id: "user", value: user, placeholder: "alice@example.com", spellcheck: "false", autocomplete: "off", autocapitalize: "none" });
  const form = h("form", { class: "filter", role: "search", onsubmit: (e) => { e.preventDefault(); const text = input.value.trim().replace(/^@/, ""); if (text) location.hash = `#/users/${part(text)}`; } },
    h("label", { for: "user" }, "User"), input, h("button", { type: "submit", class: "primary" }, "Show"));
  if (!user) {
    put(root, h("h1", null, "Users"), form, h("p", { class: "empty panel" }, "Nobody keeps a list of users. Give a name – the subject of the user’s tokens – to see where that user is connected. From a channel’s members you get here with a click."));
    input.focus();
    return "Users";
  }
  const partial = h("p", { class: "notice bad", hidden: true });
  const figures = h("span", { class: "detail" }, " ");
  const empty = h("p", { class: "empty" }, "Looking …");
  const list = h("ul", { class: "sessions" });
  const revoke = h("button", { type: "button", class: "danger", onclick: () => revokeUser(user) }, "Revoke all tokens …");
  put(root, h("div", { class: "title" }, h("p", { class: "crumb" }, h("a", { href: "#/users" }, "Users")), h("h1", { class: "mono" }, user)), form, partial,
    h("section", { class: "panel" }, h("div", { class: "head" }, h("h2", null, "Sessions"), figures, revoke), list, empty));

  const refresh = poll(signal, 2500, async () => {
    const answer = await get(`users/${part(user)}/sessions`, { signal });
    coverage(partial, answer);
    set(figures, answer.sessions.length ? `${plural(answer.sessions.length, "session")}${answer.cut ? ", and more" : ""}` : " ");
    empty.hidden = answer.sessions.length > 0;
    set(empty, answer.complete ? "Not connected to any gateway now." : "Not connected to any gateway that answers.");
    sync(list, answer.sessions, (x) => `${x.gateway} ${x.session} ${x.since}`, (x) => sessionCard(user, x, () => refresh()), (node, x) => node.update(x));
  });
  return user;
}

function sessionCard(user, first, refresh) {
  const state = h("span", { class: "state" });
  const facts = h("dd");
  const place = h("dd");
  const reads = h("ul", { class: "reads" });
  const disconnect = h("button", { type: "button", onclick: async () => {
    await confirm({
      title: "Disconnect this session?", text: `The connections of ${user}, session ${first.session}, are closed on every gateway. The client comes back by itself; revoke its tokens to keep it away.`,
      button: "Disconnect", act: async () => {
        const r = await post("sessions/disconnect", { user, session: first.session });
        return `${plural(r.closed, "connection")} closed.${r.complete ? "" : ` Not asked: ${r.missing.map((m) => m.gateway).join(", ")}.`}`;
      },
    });
    refresh();
  } }, "Disconnect …");
  const node = h("li", { class: "session" },
    h("div", { class: "head" }, h("h3", { class: "mono" }, first.session), state, disconnect),
    h("dl", { class: "facts" }, h("dt", null, "Where"), place, h("dt", null, "When"), facts), reads);
  node.update = (x) => {
    set(state, x.confirmed ? "Connected" : "Not confirmed");
    attr(state, "data-state", x.confirmed ? "ready" : "missing");
    set(place, [`${x.transport} on ${x.gateway}`, x.remote && `from ${x.remote}`, x.user_agent].filter(Boolean).join(" · "));
    set(facts, [`since ${time(x.since)}`, `last heard of ${ago(x.last_seen)}`, x.expires && `token ends ${time(x.expires)}`].filter(Boolean).join(" · "));
    const items = x.subscriptions.length ? x.subscriptions : (x.channels ?? []).map((channel) => ({ channel }));
    sync(reads, items, (r) => r.channel, (r) => h("li", null, h("a", { class: "mono", href: `#/channels/${part(r.channel)}` }, r.channel), h("span"), h("a", { class: "aside" }, "explain")), (li, r) => {
      const behind = r.behind > 0;
      set(li.children[1], r.cursor ? `at ${r.cursor}${behind ? `, ${plural(r.behind, "event")} behind` : ", caught up"}` : "");
      attr(li, "data-state", behind ? "warn" : null);
      li.children[2].hidden = !r.cursor;
      attr(li.children[2], "href", `#/explain?user=${part(user)}&channel=${part(r.channel)}&cursor=${part(r.cursor ?? "")}`);
    });
  };
  return node;
}

function revokeUser(user) {
  return confirm({
    title: "Revoke all tokens of this user?", text: `Every token of ${user} that was issued until now stops working on all gateways within seconds, and the sessions are closed. New tokens work. This cannot be taken back.`,
    button: "Revoke", act: async () => {
      const r = await post("revocations", { user });
      return `Revoked: tokens issued up to ${time(r.before)}.`;
    },
  });
}
