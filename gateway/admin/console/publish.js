import { post } from "./api.js";
import { h, set } from "./dom.js";

const EXAMPLE = '{"type": "x.test", "data": {"from": "console"}}';

/** publishForm publishes a test event, after it was unfolded: nobody does that by accident. */
export function publishForm(channel) {
  const text = h("textarea", { id: "publish-event", rows: 3, spellcheck: "false", autocomplete: "off", value: EXAMPLE });
  const outcome = h("p", { class: "outcome", role: "status" });
  const button = h("button", { type: "submit" }, "Publish");
  const form = h("form", {
    onsubmit: async (e) => {
      e.preventDefault();
      let event;
      try {
        event = JSON.parse(text.value);
      } catch (p) {
        set(outcome, `This is not JSON: ${p.message}`);
        return;
      }
      button.disabled = true;
      try {
        const r = await post("publish", { channel, event });
        set(outcome, r.duplicate ? `It was there already, as ${r.cursor}.` : `Published as ${r.cursor} (${r.ack}).`);
      } catch (p) {
        set(outcome, `Refused: ${p.message} (${p.code})`);
      } finally {
        button.disabled = false;
      }
    },
  }, h("label", { for: "publish-event" }, "Event"), text, h("div", { class: "actions" }, button, outcome));
  return h("details", { class: "panel fold" }, h("summary", null, h("h2", null, "Publish a test event")),
    h("p", { class: "help" }, "It is a real event: every subscriber of the channel gets it."), form);
}
