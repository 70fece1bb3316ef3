// The shell: who is signed in, which view is shown, and the keys that work everywhere.

import { get, session } from "./api.js";
import { attr, put, say } from "./dom.js";
import { forget, heartbeat } from "./live.js";
import { signIn } from "./sign-in.js";
import { overview } from "./overview.js";
import { channels } from "./channels.js";
import { channel } from "./channel.js";
import { users } from "./users.js";
import { deadLetters } from "./dead-letters.js";
import { explain } from "./explain.js";

const main = document.getElementById("main");
const top = document.getElementById("top");
const find = document.getElementById("find");
const findText = document.getElementById("find-text");

const views = { "": overview, channels, users, "dead-letters": deadLetters, explain };

let view = null; // what ends the view that is shown

/** route reads the address: #/channels/jobs:42?x=y → ["channels", "jobs:42"] and {x: "y"}. */
function route() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").map(decodeURIComponent), params: Object.fromEntries(new URLSearchParams(search)) };
}

function show(turned) {
  if (!session.who) return;
  view?.abort();
  view = new AbortController();
  forget();
  const { parts, params } = route();
  let make = views[parts[0]] ?? overview;
  if (parts[0] === "channels" && parts[1]) make = channel;
  for (const link of document.querySelectorAll("#nav a")) {
    const name = link.hash.replace(/^#\/?/, "");
    attr(link, "aria-current", name === parts[0] ? "page" : null);
  }
  main.className = `view-${parts[0] || "overview"}`;
  const root = document.createElement("div");
  root.className = "view";
  put(main, root);
  const title = make(root, { args: parts.slice(1), params, signal: view.signal });
  document.title = `${title} · Tallywire console`;
  heartbeat(view.signal, (signal) => get("whoami", { signal }));
  scrollTo(0, 0);
  // Whoever asked for another view goes on there, unless it has something to fill in.
  if (turned && !root.contains(document.activeElement)) main.focus({ preventScroll: true });
}

function leave(message) {
  view?.abort();
  view = null;
  session.token = "";
  session.who = null;
  top.hidden = true;
  forget();
  main.className = "view-sign-in";
  signIn(main, { message, onSignedIn: enter });
  document.title = "Sign in · Tallywire console";
}

function enter() {
  top.hidden = false;
  document.getElementById("leave").title = `Signed in as ${session.who.user}`;
  say(`Signed in as ${session.who.user}.`);
  show(false);
}

const REFUSED = {
  token_expired: "Your token has expired. Paste a new one to go on where you were.",
  token_revoked: "Your token was revoked.",
};

session.onRefused = (p) => session.who && leave(REFUSED[p.code] ?? `You were signed out: ${p.message}.`);
document.getElementById("leave").addEventListener("click", () => leave());
document.querySelector(".skip").addEventListener("click", (e) => {
  e.preventDefault(); // the address says which view it is
  main.focus();
});
addEventListener("hashchange", () => show(true));

find.addEventListener("submit", (e) => {
  e.preventDefault();
  const text = findText.value.trim();
  if (!text) return;
  findText.value = "";
  findText.blur();
  location.hash = text.startsWith("@") ? `#/users/${encodeURIComponent(text.slice(1))}` : `#/channels/${encodeURIComponent(text)}`;
});

addEventListener("keydown", (e) => {
  const typing = e.target.closest?.("input, textarea, select, [contenteditable]");
  if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey && !e.altKey && !top.hidden) {
    e.preventDefault();
    findText.focus();
    findText.select();
  } else if (e.key === "Escape" && e.target === findText) {
    findText.blur();
  }
});

async function start() {
  if (!session.token) return leave();
  try {
    session.who = await get("whoami", { quiet: true });
    enter();
  } catch (p) {
    leave(REFUSED[p.code] ?? p.message);
  }
}

start();
