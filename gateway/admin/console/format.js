const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** count writes a number for people. */
export const count = (n) => (n === undefined || n === null ? "–" : grouped.format(n));

/** rate writes events a second. */
export function rate(n) {
  if (n === undefined || n === null) return "–";
  if (n >= 100) return grouped.format(n);
  return n === 0 ? "0" : n.toFixed(1);
}

/** bytes writes a size. */
export function bytes(n) {
  if (n < 1024) return `${n} B`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(1)} KB`;
  return `${(n / 1024 / 1024).toFixed(1)} MB`;
}

/** span writes a duration in the two units that matter. */
export function span(ms) {
  if (ms === undefined || ms === null || Number.isNaN(ms)) return "–";
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m} min ${s % 60} s`;
  const hours = Math.floor(m / 60);
  if (hours < 48) return `${hours} h ${m % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const pad = (n) => String(n).padStart(2, "0");

/** time writes a moment of today as a time, another with its date; both in the reader's zone. */
export function time(value) {
  if (!value) return "–";
  const d = new Date(value);
  const clock = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  const now = new Date();
  if (d.toDateString() === now.toDateString()) return clock;
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock}`;
}

/** ago writes how long ago a moment was. */
export const ago = (value) => (value ? `${span(Date.now() - new Date(value).getTime())} ago` : "–");

/** offset is a cursor's number. */
export const offset = (cursor) => Number(cursor.split("-")[0]);

/** events counts what a log retains, without the entry that opens it and is never delivered. */
export const events = (log) => log.retained - (log.first && offset(log.first) === 1 ? 1 : 0);

/** micros writes microseconds. */
export const micros = (us) => (us < 1000 ? `${us} µs` : `${(us / 1000).toFixed(1)} ms`);

/** pretty lays JSON out, and leaves what is none as it is. */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;
