// What the events add up to. Nothing here knows of the page or of connections.

const MAX_EXCEPTIONS = 40;
const MAX_NOTICES = 30;
const MAX_RECENT = 200;

/** Job is what its channels jobs:<id> and matches:<id> have told so far. */
export class Job {
  name;
  phase = "waiting"; // load, match, completed, failed
  percent = 0;
  processed = 0;
  total = 0;
  rate = 0;
  eta = null;
  elapsed = 0;
  attempt = 1;
  message = "";
  retryAt = null;
  matchRate = null;
  matches = new Map(); // by id, oldest first
  recent = []; // ids of matches by last change, oldest first
  counts = { confirmed: 0, proposed: 0, rejected: 0, disputed: 0 };
  exceptions = 0;
  metrics = new Map();
  incomplete = false; // a reset has left out matches

  constructor(id) {
    this.id = id;
    this.name = id;
  }

  get running() {
    return this.phase === "load" || this.phase === "match";
  }

  get ended() {
    return this.phase === "completed" || (this.phase === "failed" && this.retryAt === null);
  }

  /** clearMatches forgets what matches:<id> has told. */
  clearMatches() {
    this.matches.clear();
    this.recent = [];
    this.counts = { confirmed: 0, proposed: 0, rejected: 0, disputed: 0 };
    this.exceptions = 0;
  }

  onEvent({ type, data }) {
    switch (type) {
      case "job.started":
        Object.assign(this, {
          name: data.name ?? this.id, phase: data.phases?.[0] ?? "match", attempt: data.attempt ?? 1,
          total: data.total ?? 0, percent: 0, processed: 0, rate: 0, eta: null, retryAt: null, message: "",
        });
        break;
      case "job.progress":
        Object.assign(this, {
          phase: data.phase ?? this.phase, percent: data.percent ?? 0, processed: data.processed ?? 0,
          total: data.total ?? this.total, rate: data.rate ?? 0, eta: data.eta_ms ?? null,
          elapsed: data.elapsed_ms ?? 0, message: data.message ?? "",
        });
        break;
      case "job.completed":
        Object.assign(this, {
          phase: "completed", percent: 100, processed: data.processed, eta: null, elapsed: data.duration_ms,
          matchRate: data.match_rate, message: "",
        });
        break;
      case "job.failed":
        Object.assign(this, {
          phase: "failed", eta: null, elapsed: data.duration_ms, message: data.error.message,
          retryAt: data.will_retry ? data.retry_at : null,
        });
        break;
    }
  }

  onMatch({ type, data }) {
    const old = this.matches.get(data.match_id);
    if (type === "match.deleted") {
      if (old) this.counts[old.status]--;
      this.matches.delete(data.match_id);
      return;
    }
    const match = { ...old, ...data };
    if (!match.status) return; // an update of a match that a reset has left out
    if (old) this.counts[old.status]--;
    this.counts[match.status]++;
    this.matches.set(match.match_id, match);
    this.recent.push(match.match_id);
    if (this.recent.length > 2 * MAX_RECENT) this.recent = this.recent.slice(-MAX_RECENT);
  }

  /** newest returns up to n matches that pass the filter, the last one that changed first. */
  newest(n, filter) {
    const seen = new Set();
    const list = [];
    for (let i = this.recent.length - 1; i >= 0 && list.length < n; i--) {
      const id = this.recent[i];
      const match = this.matches.get(id);
      if (!match || seen.has(id) || (filter !== "all" && match.status !== filter)) continue;
      seen.add(id);
      list.push(match);
    }
    return list;
  }
}

/** Model is everything that the page shows. */
export class Model {
  jobs = new Map(); // newest last
  exceptions = []; // newest first
  notices = []; // newest first

  job(id) {
    let job = this.jobs.get(id);
    if (!job) this.jobs.set(id, (job = new Job(id)));
    return job;
  }

  onNotification({ data, time }, cursor) {
    this.#put(this.notices, { key: cursor, time: data.raised_at ?? time, ...data }, MAX_NOTICES);
  }

  /** onReset keeps what the gateway said about a loss among the notices, where people see it. */
  onReset({ channel, reason, cursor }) {
    const why = {
      trimmed: "older events are no longer retained", expired: "the channel has begun anew", forked: "the store lost its newest events",
      forbidden: "it may no longer be read",
    };
    this.#put(this.notices, {
      key: `reset ${channel} ${cursor} ${Date.now()}`, time: new Date().toISOString(), severity: "reset", title: `Reset of ${channel}`,
      body: `Not everything could be replayed: ${why[reason] ?? reason}. What is shown begins at ${cursor.split("-")[0]}.`,
    }, MAX_NOTICES);
  }

  onException({ data, time }, cursor) {
    this.#put(this.exceptions, { key: `${data.job_id} ${cursor}`, time: data.raised_at ?? time, ...data }, MAX_EXCEPTIONS);
  }

  onMetric({ data }) {
    const id = data.labels?.job;
    if (!id) return;
    const key = data.labels.currency ? `${data.metric}/${data.labels.currency}` : data.metric;
    this.job(id).metrics.set(key, data);
  }

  #put(list, item, most) {
    const at = list.findIndex((other) => other.time <= item.time);
    list.splice(at < 0 ? list.length : at, 0, item);
    if (list.length > most) list.length = most;
  }
}
