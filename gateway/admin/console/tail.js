// Following one channel over the client protocol (docs/protocol.md): as every client does, with a cursor that
// says where to go on after a lost connection.

import { post } from "./api.js";

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15_000;
const SILENT_MS = 8_000;

function randomName() {
  const raw = crypto.getRandomValues(new Uint8Array(9)); // randomUUID wants https
  return `console-${Array.from(raw, (b) => b.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * Tail follows a channel until stop. Handlers: onEvent({cursor, event, skipped}), onReset({reason, cursor}),
 * onStatus(state, text) with state connecting | live | waiting | impossible.
 */
export class Tail {
  #channel;
  #handlers;
  #session = randomName();
  #cursor = null; // of the last event, or where the subscription began
  #ws = null;
  #timer = 0;
  #renewal = 0;
  #silence = SILENT_MS;
  #attempts = 0;
  #stopped = false;

  constructor(channel, handlers) {
    this.#channel = channel;
    this.#handlers = handlers;
    this.#open();
  }

  stop() {
    this.#stopped = true;
    this.#drop();
  }

  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#renewal);
    if (!this.#ws) return;
    this.#ws.onopen = this.#ws.onmessage = this.#ws.onclose = null;
    this.#ws.close(1000);
    this.#ws = null;
  }

  async #open() {
    this.#handlers.onStatus("connecting", "Connecting");
    let grant;
    try {
      grant = await post("tail-token", { channel: this.#channel });
    } catch (p) {
      if (p.code === "unsupported") this.#handlers.onStatus("impossible", p.message);
      else this.#again(p.message);
      return;
    }
    if (this.#stopped) return;
    const url = new URL("/v1/ws", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const ws = new WebSocket(url, "tallywire.v1");
    this.#ws = ws;
    this.#expect(SILENT_MS);
    ws.onopen = () => this.#send({ type: "connect", id: 1, token: grant.token, session: this.#session });
    ws.onmessage = (e) => this.#message(e.data);
    ws.onclose = () => this.#again("The connection is lost");
  }

  #send(frame) {
    this.#ws?.send(JSON.stringify(frame));
  }

  /** expect gives the connection up unless something arrives in time. */
  #expect(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#again("The connection is silent"), ms);
  }

  #again(text) {
    this.#drop();
    if (this.#stopped) return;
    const pause = Math.random() * Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#attempts++);
    this.#handlers.onStatus("waiting", `${text}, trying again`);
    this.#timer = setTimeout(() => this.#open(), pause);
  }

  #message(text) {
    for (const frame of JSON.parse(text)) {
      this.#frame(frame);
      if (!this.#ws) return;
    }
    this.#expect(this.#silence);
  }

  #frame(frame) {
    switch (frame.type) {
      case "ping":
        this.#send({ type: "pong" });
        break;
      case "connected":
        this.#silence = frame.ping_ms * 2;
        this.#renewBefore(frame.expires);
        this.#send({ type: "subscribe", id: 2, channels: [{ channel: this.#channel, cursor: this.#cursor ?? undefined }] });
        break;
      case "subscribed":
        this.#attempts = 0;
        this.#cursor = frame.cursor;
        this.#handlers.onStatus("live", "Live");
        break;
      case "event":
        this.#cursor = frame.cursor;
        this.#handlers.onEvent(frame);
        break;
      case "skip":
        this.#cursor = frame.cursor;
        break;
      case "reset":
        this.#cursor = frame.cursor;
        this.#handlers.onReset(frame);
        break;
      case "refreshed":
        this.#renewBefore(frame.expires);
        break;
      case "moving":
        this.#attempts = 0;
        this.#again("The gateway is moving its clients away");
        break;
      case "degraded":
        this.#handlers.onStatus(frame.degraded ? "waiting" : "live", frame.degraded ? `The gateway is degraded: ${frame.reason}` : "Live");
        break;
      case "error":
        if (frame.retry || frame.code === "token_expired") this.#again(frame.message);
        else this.#fail(frame);
        break;
    }
  }

  #fail(frame) {
    this.#drop();
    this.#handlers.onStatus("impossible", `${frame.message} (${frame.code})`);
  }

  /** renewBefore gives the connection a fresh token a minute before its own ends. */
  #renewBefore(expires) {
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(async () => {
      const ws = this.#ws;
      try {
        const grant = await post("tail-token", { channel: this.#channel });
        if (ws && ws === this.#ws) this.#send({ type: "refresh", id: 3, token: grant.token });
      } catch {
        // The connection ends with its token, and the next one asks again.
      }
    }, Math.max(1000, expires * 1000 - 60_000 - Date.now()));
  }
}
