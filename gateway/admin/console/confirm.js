import { h, set } from "./dom.js";

/**
 * confirm asks before something is done, does it, and stays until it is done. act returns what to say, and
 * throws a Problem. fields are shown between the text and the buttons. It resolves to whether it was done.
 */
export function confirm({ title, text, button, act, fields = [] }) {
  return new Promise((resolve) => {
    let done = false;
    const outcome = h("p", { class: "outcome", role: "alert" });
    const go = h("button", { type: "submit", class: "danger" }, button);
    const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
    const dialog = h("dialog", { "aria-labelledby": "confirm-title", onclose: () => { dialog.remove(); resolve(done); } },
      h("form", {
        method: "dialog",
        onsubmit: async (e) => {
          e.preventDefault();
          if (done) return dialog.close();
          go.disabled = true;
          try {
            set(outcome, await act());
            outcome.dataset.state = "good";
            done = true;
            cancel.remove();
            set(go, "Close");
            go.className = "primary";
            go.disabled = false;
            go.focus();
          } catch (p) {
            outcome.dataset.state = "bad";
            set(outcome, `${p.message} (${p.code ?? "failed"})`);
            go.disabled = false;
          }
        },
      }, h("h2", { id: "confirm-title" }, title), h("p", null, text), fields, outcome, h("div", { class: "actions" }, cancel, go)));
    document.body.append(dialog);
    dialog.showModal();
    cancel.focus();
  });
}
