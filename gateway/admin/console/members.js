import { get, part, query } from "./api.js";
import { attr, h, put, say, set, sync, table } from "./dom.js";
import { ago, count, time } from "./format.js";

const PAGE = 25;

/** membersPanel lists who is in a channel, in pages. refresh asks again. */
export function membersPanel(channel, signal) {
  const list = table(`Members of ${channel}`, [
    { label: "User" }, { label: "State" }, { label: "Sessions", class: "num" }, { label: "Since", class: "nowrap" }, { label: "Status", class: "clip" },
  ]);
  const empty = h("p", { class: "empty" }, "Looking …");
  const figures = h("span", { class: "detail" }, " ");
  const stale = h("p", { class: "notice bad", hidden: true });
  const back = h("button", { type: "button", disabled: true }, "Previous");
  const next = h("button", { type: "button", disabled: true }, "Next");
  const pager = h("div", { class: "pager" }, back, h("span", { class: "page" }), next);
  let afters = [];
  let following = "";
  let known = null; // users of the page before, to tell who came and left

  const load = async () => {
    let page;
    try {
      page = await get(`channels/${part(channel)}/members${query({ after: afters.at(-1), limit: PAGE })}`, { signal });
    } catch (p) {
      if (signal.aborted) return;
      empty.hidden = false;
      set(empty, p.code === "unsupported" ? "Presence is not enabled on this gateway." : `${p.message} (${p.code})`);
      return;
    }
    following = page.next;
    back.disabled = afters.length === 0;
    next.disabled = !following;
    pager.hidden = back.disabled && next.disabled;
    set(figures, `${count(page.count)} with ${count(page.sessions)} sessions`);
    stale.hidden = !page.stale_since;
    set(stale, page.stale_since ? `The store is away: this was so at ${time(page.stale_since)}.` : "");
    empty.hidden = page.members.length > 0;
    set(empty, "Nobody is here.");
    announce(page.members);
    sync(list.body, page.members, (m) => m.user, (m) => {
      const row = list.row();
      put(row.cell[0], h("a", { class: "name", href: `#/users/${part(m.user)}` }, m.name && m.name !== m.user ? `${m.name} (${m.user})` : m.user));
      put(row.cell[1], h("span", { class: "state" }));
      return row;
    }, (row, m) => {
      const state = row.cell[1].firstChild;
      set(state, m.state === "grace" ? "In grace" : "Live");
      attr(state, "data-state", m.state === "grace" ? "draining" : "ready");
      set(row.cell[2], count(m.sessions));
      set(row.cell[3], ago(m.since));
      set(row.cell[4], m.status === undefined ? "" : JSON.stringify(m.status));
    });
  };
  const announce = (members) => {
    const users = new Set(members.map((m) => m.user));
    if (known && afters.length === 0) {
      const came = [...users].filter((u) => !known.has(u));
      const left = [...known].filter((u) => !users.has(u));
      if (came.length + left.length > 0 && came.length + left.length <= 3) {
        say([...came.map((u) => `${u} joined ${channel}.`), ...left.map((u) => `${u} left ${channel}.`)].join(" "));
      }
    }
    known = users;
  };
  const turn = (to) => { afters = to; known = null; load(); };
  back.addEventListener("click", () => turn(afters.slice(0, -1)));
  next.addEventListener("click", () => turn([...afters, following]));

  const node = h("section", { class: "panel", "aria-labelledby": "h-members" },
    h("div", { class: "head" }, h("h2", { id: "h-members" }, "Members"), figures), stale, list.node, empty, pager);
  return { node, refresh: load };
}
