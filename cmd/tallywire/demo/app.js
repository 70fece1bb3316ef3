// The page: which channels to follow, and when to draw.
import { Client } from "./client.js";
import { Model } from "./model.js";
import { View } from "./view.js";

const MAX_JOBS = 6;
const DRAW_EVERY_MS = 150;
const CUT_MS = 6_000;

const model = new Model();
const followed = new Set(); // jobs, oldest first
let known = []; // jobs that notifications have named, oldest first
let listed = false; // the past notifications are all here

const url = new URL("/v1/ws", location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";

let drawing = 0;
function draw() {
  if (drawing) return;
  drawing = setTimeout(() => {
    drawing = 0;
    requestAnimationFrame(() => view.draw(model, client.stats, [...followed].reverse()));
  }, DRAW_EVERY_MS);
}

const client = new Client(url, (status) => {
  view.status(status);
  draw();
});
const view = new View(document, { cut: () => client.cut(CUT_MS), redraw: draw });

const changes = (handle) => (what, more) => {
  handle(what, more);
  draw();
};
const lost = changes((reset, fresh) => fresh || model.onReset(reset));

client.subscribe("notifications:ops", {
  onEvent: changes((event, cursor) => {
    model.onNotification(event, cursor);
    const job = /^job\/([A-Za-z0-9_.-]+)$/.exec(event.subject ?? "")?.[1];
    if (job) discover(job);
  }),
  onReset: (reset, fresh) => {
    // After a restart of an embedded engine the jobs are others.
    if (!fresh && reset.reason !== "trimmed") forgetAll();
    lost(reset, fresh);
  },
  onCaughtUp: () => {
    listed = true;
    known.slice(-MAX_JOBS).forEach(follow);
    known = [];
  },
});
client.subscribe("metrics:recon", { onEvent: changes((event) => model.onMetric(event)), onReset: lost });

function discover(id) {
  if (followed.has(id)) return;
  if (listed) follow(id);
  else known = [...known.filter((other) => other !== id), id];
}

function follow(id) {
  if (followed.has(id)) return;
  followed.add(id);
  const job = model.job(id);
  const raise = (event, cursor) => model.onException(event, cursor);
  client.subscribe(`jobs:${id}`, {
    onEvent: changes((event, cursor) => (event.type === "error.raised" ? raise(event, cursor) : job.onEvent(event))),
    onReset: lost,
  });
  client.subscribe(`matches:${id}`, {
    onEvent: changes((event, cursor) => {
      if (event.type !== "error.raised") return job.onMatch(event);
      job.exceptions++;
      raise(event, cursor);
    }),
    onReset: (reset, fresh) => {
      job.clearMatches(); // what follows begins anew
      job.incomplete = true;
      lost(reset, fresh);
    },
  });
  for (const old of followed) {
    if (followed.size <= MAX_JOBS) break;
    if (old !== id) forget(old);
  }
}

function forget(id) {
  followed.delete(id);
  model.jobs.delete(id);
  client.unsubscribe(`jobs:${id}`);
  client.unsubscribe(`matches:${id}`);
}

function forgetAll() {
  [...followed].forEach(forget);
  known = [];
  listed = false;
  model.exceptions = [];
  model.jobs.clear();
}

draw();
client.start();
