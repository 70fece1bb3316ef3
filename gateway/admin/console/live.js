// Asking again and again, and telling honestly how old an answer is.

import { attr, put, set } from "./dom.js";
import { span, time } from "./format.js";

const pulse = document.getElementById("pulse");
const pulseText = document.getElementById("pulse-text");
const banner = document.getElementById("banner");

let lastAnswer = 0;
let polls = 0; // of the view that is shown
let failing = null;

function show() {
  const main = document.getElementById("main");
  if (failing) {
    attr(pulse, "data-state", "lost");
    set(pulseText, "No answer");
    attr(main, "data-stale", true);
    const since = lastAnswer ? ` What is shown is from ${time(lastAnswer)}, ${span(Date.now() - lastAnswer)} ago.` : "";
    set(banner, `${failing.message}${since} Trying again.`);
    banner.hidden = false;
    return;
  }
  attr(main, "data-stale", null);
  banner.hidden = true;
  attr(pulse, "data-state", lastAnswer ? "live" : "waiting");
  set(pulseText, lastAnswer ? "Live" : "Connecting");
}

/** forget begins anew: another view has other answers. */
export function forget() {
  polls = 0;
  lastAnswer = 0;
  failing = null;
  show();
}

/**
 * poll asks until signal ends: once at once, and then again ms after each answer, not while nobody looks at
 * the page. It returns a function that asks now.
 */
export function poll(signal, ms, ask) {
  polls++;
  let timer = 0;
  let running = false;
  const run = async () => {
    clearTimeout(timer);
    if (running || signal.aborted) return;
    running = true;
    let pause = ms;
    try {
      await ask(signal);
      lastAnswer = Date.now();
      failing = null;
    } catch (e) {
      if (!signal.aborted) failing = e;
      pause = Math.max(ms, 2000);
    }
    running = false;
    if (signal.aborted) return;
    show();
    timer = setTimeout(() => (document.hidden ? null : run()), pause);
  };
  const wake = () => !document.hidden && run();
  document.addEventListener("visibilitychange", wake);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", wake);
  });
  run();
  return run;
}

/** heartbeat keeps asking something small where the view itself does not ask. */
export function heartbeat(signal, ask) {
  if (polls === 0) poll(signal, 5000, ask);
}

setInterval(() => failing && show(), 1000);

/** coverage tells in a node which gateways an answer does not speak for. */
export function coverage(node, answer) {
  if (answer.complete) {
    node.hidden = true;
    return;
  }
  const names = answer.missing.map((m) => `${m.gateway} (${REASONS[m.reason] ?? m.reason})`).join(", ");
  const text = [names && `Without ${names}.`, answer.problem && `${answer.problem[0].toUpperCase()}${answer.problem.slice(1)}.`].filter(Boolean).join(" ");
  node.hidden = false;
  put(node, text);
}

const REASONS = {
  no_answer: "does not answer", lease_over: "its lease has ended", not_asked: "could not be asked",
  unsupported: "runs another version", failed: "failed to answer",
};
