import { call, claims, session } from "./api.js";
import { h, put, say, set } from "./dom.js";
import { span } from "./format.js";

const COMMAND = "tallywire token --admin --user you@example.com --auth-secret …";

/** explain says what is wrong with a token in words that lead on. */
function explain(p, token) {
  const c = claims(token);
  switch (p.code) {
    case "token_expired": {
      const since = c?.exp ? ` It ended ${span(Date.now() - c.exp * 1000)} ago.` : "";
      return `This token has expired.${since} Make a new one.`;
    }
    case "token_revoked":
      return "This token was revoked. Ask whoever revoked it, or make a new one.";
    case "forbidden":
      return "This token is for the admin API, but does not carry the admin permission (tw.admin).";
    case "unauthorized": {
      if (!c) return "This is not a token. A token has three parts with dots between them and begins with “ey”.";
      const audience = [c.aud].flat().join(", ");
      return `This token is not accepted here: ${p.message}.${audience ? ` Its audience is “${audience}”; the console’s is usually “tallywire-admin”.` : ""}`;
    }
    case "unreachable":
      return "The gateway does not answer. Is it running, and is the tunnel to its admin port open?";
    default:
      return `${p.message} (${p.code})`;
  }
}

/** signIn shows the form; onSignedIn is called when a token was accepted. */
export function signIn(root, { message, onSignedIn }) {
  const error = h("p", { class: "form-error", id: "token-error", role: "alert" }, message ?? "");
  const token = h("textarea", {
    id: "token", rows: 4, required: true, spellcheck: "false", autocomplete: "off", autocapitalize: "none",
    "aria-describedby": "token-error token-help", placeholder: "eyJhbGciOi…",
  });
  const button = h("button", { class: "primary", type: "submit" }, "Sign in");
  const form = h("form", {
    class: "panel sign-in", onsubmit: async (e) => {
      e.preventDefault();
      const text = token.value.trim().replace(/^bearer\s+/i, "");
      if (!text) return;
      button.disabled = true;
      set(error, "");
      try {
        session.who = await call("GET", "whoami", { token: text, quiet: true });
        session.token = text;
        onSignedIn();
      } catch (p) {
        set(error, explain(p, text));
        say(error.textContent);
        token.setAttribute("aria-invalid", "true");
        token.focus();
        token.select();
      } finally {
        button.disabled = false;
      }
    },
  },
  h("img", { class: "mark", src: "/console/icon.svg", width: 44, height: 44, alt: "" }),
  h("h1", null, "Tallywire console"),
  h("p", { class: "lead" }, "Who is connected, what flows, and why an event did not arrive – for the whole cluster, from this gateway."),
  h("label", { for: "token" }, "Admin token"), token, error, button,
  h("p", { class: "help", id: "token-help" }, "It stays in this tab and is forgotten with it. To make one: ", h("code", null, COMMAND)));
  put(root, form);
  token.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && !e.shiftKey) {
      e.preventDefault();
      form.requestSubmit();
    }
  });
  token.focus();
}
