// The page's elements. Text goes in as text only, never as markup.

const ROWS = 14;
const ROWS_EVERY_MS = 450; // more often nobody can read
const FEW = 4; // as many new rows are worth pointing at
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** make returns an element with attributes and children. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return element;
}

/** set changes a text only where it differs, so that screen readers are not told the same again. */
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** money groups the digits of a decimal text; it never becomes a float. */
function money({ amount, currency }) {
  const [, sign, digits, rest] = /^(-?)(\d+)(.*)$/.exec(amount) ?? [null, "", amount, ""];
  return `${sign ? "−" : ""}${digits.replace(/\B(?=(\d{3})+$)/g, "\u2009")}${rest} ${currency}`;
}

const nothing = (amount) => /^-?0*\.?0*$/.test(amount);

function lines(ids) {
  if (ids.length === 0) return "—";
  return ids.length > 2 ? `${ids[0]} +${ids.length - 1}` : ids.join(", ");
}

const STATES = {
  connecting: () => "Connecting",
  live: () => "Live",
  degraded: () => "Degraded",
  waiting: () => "Reconnecting",
  refused: () => "Not let in",
};

export class View {
  #document;
  #redraw;
  #status = { state: "connecting" };
  #who = {};
  #lastLive = null;
  #filter = "all";
  #chosen = null;
  #cards = new Map();
  #rows = new Map();
  #lists = new Map();
  #redrawRows = null;
  #drawnRows = { at: 0, of: "" };

  constructor(document, { cut, redraw }) {
    this.#document = document;
    this.#redraw = redraw;
    this.#get("cut").addEventListener("click", cut);
    for (const button of document.querySelectorAll("[data-filter]")) {
      button.addEventListener("click", () => {
        this.#filter = button.dataset.filter;
        for (const b of document.querySelectorAll("[data-filter]")) b.setAttribute("aria-pressed", String(b === button));
        redraw();
      });
    }
    setInterval(() => this.#drawStatus(), 500);
  }

  #get(id) {
    return this.#document.getElementById(id);
  }

  status(status) {
    if (status.gateway) this.#who = status;
    if (this.#status.state === "live" && status.state !== "live") this.#lastLive = new Date();
    if (status.state === "live") this.#lastLive = null;
    this.#status = status;
    this.#drawStatus();
  }

  #drawStatus() {
    const { state, retryAt, reason } = this.#status;
    this.#document.body.dataset.state = state;
    set(this.#get("state"), STATES[state]());
    let detail = "";
    if (state === "live") detail = this.#who.gateway ?? "";
    if (state === "degraded") detail = `events are late, none is lost${reason ? `: ${reason}` : ""}`;
    if (state === "refused") detail = reason ?? "a token is needed";
    if (state === "waiting" || state === "connecting") {
      const parts = [];
      if (this.#lastLive) parts.push(`figures as of ${clock.format(this.#lastLive)}`);
      const left = retryAt ? Math.ceil((retryAt - Date.now()) / 1000) : 0;
      if (left > 0) parts.push(`next attempt in ${left} s`);
      detail = parts.join(" · ");
    }
    set(this.#get("detail"), detail);
    this.#get("cut").disabled = state !== "live" && state !== "degraded";
  }

  draw(model, stats, ids) {
    const jobs = ids.map((id) => model.jobs.get(id)).filter(Boolean);
    const chosen = jobs.find((j) => j.id === this.#chosen) ?? jobs.find((j) => j.running) ?? jobs[0] ?? null;
    this.#drawJobs(jobs, chosen);
    this.#drawFigures(chosen);
    this.#drawMatches(chosen);
    this.#drawFeed("notices", model.notices.slice(0, 4), (n) => this.#item(n.severity, n.title, n.body, n.time));
    this.#drawFeed("exceptions", model.exceptions.slice(0, 8), (x) => this.#item(x.severity, x.message, `${x.job_id} · ${x.code}`, x.time));
    this.#drawAccount(stats);
    this.#get("empty").hidden = jobs.length > 0;
  }

  #drawJobs(jobs, chosen) {
    const list = this.#get("jobs");
    for (const [id, card] of this.#cards) {
      if (!jobs.some((j) => j.id === id)) {
        card.root.remove();
        this.#cards.delete(id);
      }
    }
    jobs.forEach((job, i) => {
      let card = this.#cards.get(job.id);
      if (!card) this.#cards.set(job.id, (card = this.#card(job)));
      if (list.children[i] !== card.root) list.insertBefore(card.root, list.children[i] ?? null);
      this.#fillCard(card, job, job === chosen);
    });
  }

  #card(job) {
    const part = (tag, name, attributes) => make(tag, { class: name, ...attributes });
    const c = {
      title: part("span", "title"), phase: part("span", "chip"),
      bar: part("span", "bar-fill"), percent: part("span", "percent"), facts: part("span", "facts"), note: part("span", "note"),
    };
    c.track = make("span", { class: "track", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": `Progress of ${job.id}` }, c.bar);
    c.button = make("button", { type: "button", class: "job" },
      c.title, make("span", { class: "meter" }, c.track, c.percent), make("span", { class: "foot" }, c.phase, c.facts), c.note);
    c.button.addEventListener("click", () => {
      this.#chosen = job.id;
      this.#redraw();
    });
    c.root = make("li", {}, c.button);
    return c;
  }

  #fillCard(c, job, chosen) {
    c.button.setAttribute("aria-pressed", String(chosen));
    set(c.title, job.name);
    const phase = { waiting: "Waiting", load: "Reading", match: "Matching", completed: "Completed", failed: job.retryAt ? "Trying again" : "Failed" };
    set(c.phase, phase[job.phase] ?? job.phase);
    c.phase.dataset.kind = job.phase;
    c.bar.style.transform = `scaleX(${job.percent / 100})`;
    c.bar.dataset.kind = job.phase;
    c.track.setAttribute("aria-valuenow", String(Math.round(job.percent)));
    set(c.percent, `${job.percent.toFixed(job.percent < 100 ? 1 : 0)} %`);
    const facts = [job.id];
    if (job.total) facts.push(`${whole.format(job.processed)} of ${whole.format(job.total)} lines`);
    if (job.running && job.rate) facts.push(`${whole.format(job.rate)}/s`);
    if (job.running && job.eta !== null) facts.push(`${duration(job.eta)} left`);
    if (job.ended) facts.push(`took ${duration(job.elapsed)}`);
    if (job.matchRate !== null && job.phase === "completed") facts.push(`${job.matchRate.toFixed(1)} % matched`);
    if (job.attempt > 1) facts.push(`attempt ${job.attempt}`);
    set(c.facts, facts.join(" · "));
    const note = job.phase === "failed" ? job.message : job.incomplete ? "Older matches are no longer retained." : "";
    set(c.note, note);
    c.note.hidden = note === "";
  }

  #drawFigures(job) {
    const value = (name) => job?.metrics.get(name)?.value;
    const number = (v, unit = "") => (v === undefined ? "–" : whole.format(v) + unit);
    set(this.#get("m-rate"), value("match_rate") === undefined ? "–" : `${value("match_rate").toFixed(1)} %`);
    set(this.#get("m-speed"), job?.running ? number(value("throughput"), "/s") : job ? "idle" : "–");
    set(this.#get("m-open"), number(value("open_lines")));
    set(this.#get("m-unmatched"), number(value("unmatched_lines")));
    const amounts = [...(job?.metrics.values() ?? [])].filter((m) => m.amount).map((m) => money(m.amount));
    const list = this.#get("m-amounts");
    if (list.dataset.text !== amounts.join()) {
      list.dataset.text = amounts.join();
      list.replaceChildren(...(amounts.length ? amounts : ["–"]).map((a) => make("span", {}, a)));
    }
  }

  #drawMatches(job) {
    set(this.#get("matches-of"), job ? job.id : "");
    const counts = job?.counts ?? { confirmed: 0, proposed: 0 };
    set(this.#get("n-all"), whole.format(job?.matches.size ?? 0));
    set(this.#get("n-confirmed"), whole.format(counts.confirmed));
    set(this.#get("n-proposed"), whole.format(counts.proposed));
    this.#get("no-matches").hidden = this.#rows.size > 0;
    set(this.#get("no-matches"), job?.phase === "load" ? "The ledgers are being read; matches follow." : "No matches yet.");
    const of = `${job?.id} ${this.#filter}`;
    if (of === this.#drawnRows.of && performance.now() - this.#drawnRows.at < ROWS_EVERY_MS) {
      this.#redrawRows ??= setTimeout(() => this.#redraw(), ROWS_EVERY_MS);
      return;
    }
    clearTimeout(this.#redrawRows);
    this.#redrawRows = null;
    const changed = of !== this.#drawnRows.of;
    this.#drawnRows = { at: performance.now(), of };
    this.#drawRows(job?.newest(ROWS, this.#filter) ?? [], changed);
    this.#get("no-matches").hidden = this.#rows.size > 0;
  }

  #drawRows(list, changed) {
    const body = this.#get("matches");
    const rows = new Map();
    for (const m of list) {
      const key = `${m.match_id} ${m.revision}`;
      rows.set(key, this.#rows.get(key) ?? this.#row(m));
    }
    for (const [key, row] of this.#rows) if (!rows.has(key)) row.remove();
    let i = 0;
    for (const row of rows.values()) {
      if (body.children[i] !== row) body.insertBefore(row, body.children[i] ?? null);
      i++;
    }
    const fresh = [...rows].filter(([key]) => !this.#rows.has(key));
    if (!changed && !reduced.matches && fresh.length <= FEW) fresh.forEach(([, row]) => row.classList.add("new"));
    this.#rows = rows;
  }

  #row(m) {
    const status = { confirmed: "Confirmed", proposed: "Proposed", rejected: "Rejected", disputed: "Disputed" }[m.status];
    const percent = Math.round((m.confidence ?? 0) * 100);
    const fill = make("span", { class: "confidence-fill" });
    fill.style.transform = `scaleX(${percent / 100})`;
    const balanced = !m.difference || nothing(m.difference.amount);
    return make("tr", { title: m.note },
      make("td", {}, make("span", { class: "chip", "data-kind": m.status }, status)),
      make("td", { class: "ids" }, make("span", {}, lines(m.left_ids)), make("span", { class: "arrow", "aria-label": "with" }, " ↔ "), make("span", {}, lines(m.right_ids))),
      make("td", { class: "number" }, m.left_amount ? money(m.left_amount) : "–"),
      make("td", { class: balanced ? "number even" : "number off" }, balanced ? "0" : money(m.difference)),
      make("td", { class: "confidence" }, make("span", { class: "confidence-cell" },
        make("span", { class: "confidence-track", "aria-hidden": "true" }, fill), make("span", {}, `${percent} %`))),
      make("td", { class: "rule" }, m.rule_id ?? ""));
  }

  #item(severity, title, body, time) {
    return make("li", { class: "item", "data-severity": severity },
      make("span", { class: "mark", "aria-label": severity }), make("span", { class: "item-title" }, title),
      make("time", { datetime: time }, clock.format(new Date(time))), make("span", { class: "item-body" }, body ?? ""));
  }

  /** drawFeed keeps the elements of items that stay, so that only what is new is announced. */
  #drawFeed(id, items, build) {
    const list = this.#get(id);
    const old = this.#lists.get(id) ?? new Map();
    const now = new Map(items.map((item) => [item.key, old.get(item.key) ?? build(item)]));
    for (const [key, element] of old) if (!now.has(key)) element.remove();
    let i = 0;
    for (const element of now.values()) {
      if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
      i++;
    }
    this.#lists.set(id, now);
    this.#get(`no-${id}`).hidden = items.length > 0;
  }

  #drawAccount(s) {
    for (const name of ["events", "skipped", "resumed", "resets", "missing"]) set(this.#get(`s-${name}`), whole.format(s[name]));
    this.#get("s-missing").parentElement.dataset.bad = String(s.missing > 0);
    this.#get("s-resets").parentElement.dataset.bad = String(s.resets > 0);
  }
}
