import { get, part, post, query } from "./api.js";
import { confirm } from "./confirm.js";
import { h, put, set, sync, table } from "./dom.js";
import { bytes, plural, pretty, time } from "./format.js";
import { poll } from "./live.js";

const PAGE = 50;

/** deadLetters lists events that failed validation, or shows one. */
export function deadLetters(root, { args, params, signal }) {
  return args.length === 2 ? letter(root, args, signal) : list(root, params, signal);
}

function list(root, params, signal) {
  const afters = params.after ? params.after.split(" ") : [];
  const rows = table("Dead letters", [
    { label: "Time" }, { label: "Channel" }, { label: "Why", class: "wide" }, { label: "Size", class: "num" }, { label: "" },
  ]);
  const empty = h("p", { class: "empty" }, "Looking …");
  const where = h("span", { class: "page" });
  const go = (to) => { location.hash = `#/dead-letters${query({ after: to.join(" ") })}`; };
  const back = h("button", { type: "button", disabled: afters.length === 0, onclick: () => go(afters.slice(0, -1)) }, "Previous");
  const next = h("button", { type: "button", disabled: true, onclick: () => go([...afters, following]) }, "Next");
  let following = "";
  put(root, h("h1", null, "Dead letters"),
    h("p", { class: "lead" }, "Events that failed validation when they arrived: nobody got them, and subscribers were told of a skipped place. The oldest come first."),
    h("section", { class: "panel" }, rows.node, empty, h("div", { class: "pager" }, back, where, next)));
  poll(signal, 5000, async () => {
    let answer;
    try {
      answer = await get(`dead-letters${query({ after: afters.at(-1), limit: PAGE })}`, { signal });
    } catch (p) {
      if (p.code !== "unsupported") throw p;
      set(empty, p.message);
      return;
    }
    following = answer.next;
    next.disabled = !answer.more;
    empty.hidden = answer.letters.length > 0;
    set(empty, afters.length ? "No more letters." : "None. Every event that arrived was valid.");
    set(where, answer.letters.length ? `Page ${afters.length + 1}, ${plural(answer.letters.length, "letter")}` : "");
    sync(rows.body, answer.letters, (l) => `${l.channel} ${l.cursor}`, (l) => {
      const row = rows.row();
      set(row.cell[0], time(l.time));
      put(row.cell[1], h("a", { class: "mono", href: `#/channels/${part(l.channel)}` }, l.channel));
      put(row.cell[2], h("code", null, l.code), ` ${l.reason}`);
      set(row.cell[3], bytes(l.bytes));
      put(row.cell[4], h("a", { class: "button", href: `#/dead-letters/${part(l.channel)}/${part(l.cursor)}`, "aria-label": `Show ${l.cursor} of ${l.channel}` }, "Show"));
      return row;
    });
  });
  return "Dead letters";
}

function letter(root, [channel, cursor], signal) {
  const body = h("div", { class: "view" }, h("p", { class: "empty" }, "Looking …"));
  put(root, h("div", { class: "title" }, h("p", { class: "crumb" }, h("a", { href: "#/dead-letters" }, "Dead letters")), h("h1", { class: "mono" }, `${channel} ${cursor}`)), body);
  get(`dead-letters/${part(channel)}/${part(cursor)}`, { signal }).then((l) => show(body, l), (p) => {
    if (!signal.aborted) put(body, h("p", { class: "notice bad" }, `${p.message} (${p.code})`));
  });
  return `Dead letter ${channel}`;
}

function show(body, l) {
  const original = l.event === undefined ? null : pretty(l.event);
  const editor = h("textarea", { id: "letter", rows: Math.min(24, Math.max(6, (original ?? "").split("\n").length + 1)), spellcheck: "false", value: original ?? `(${bytes(l.bytes)} that are no text, in base64)\n${l.event_base64}` });
  editor.readOnly = original === null;
  const problem = h("p", { class: "form-error", role: "alert" });
  const again = h("button", { type: "submit", class: "primary", disabled: original === null }, "Publish again …");
  const form = h("form", {
    onsubmit: (e) => {
      e.preventDefault();
      let event;
      try {
        event = JSON.parse(editor.value);
      } catch (p) {
        set(problem, `This is not JSON: ${p.message}`);
        editor.focus();
        return;
      }
      set(problem, "");
      const edited = editor.value !== original;
      confirm({
        title: edited ? "Publish the corrected event?" : "Publish the event again?",
        text: `It is validated, and then appended to the end of ${l.channel}: every subscriber gets it.`,
        button: "Publish", act: async () => {
          const r = await post(`dead-letters/${part(l.channel)}/${part(l.cursor)}/republish`, edited ? { event } : {});
          return r.duplicate ? `It was published before, as ${r.cursor}.` : `Published as ${r.cursor}.`;
        },
      });
    },
  }, h("label", { for: "letter" }, "The event, as it was published. Correct it here."), editor, problem, h("div", { class: "actions" }, again));
  put(body,
    h("section", { class: "panel" }, h("dl", { class: "facts" },
      h("dt", null, "Why"), h("dd", null, h("code", null, l.code), ` ${l.reason}`),
      h("dt", null, "When"), h("dd", null, time(l.time)),
      h("dt", null, "Channel"), h("dd", null, h("a", { class: "mono", href: `#/channels/${part(l.channel)}` }, l.channel)))),
    h("section", { class: "panel" }, form));
}
