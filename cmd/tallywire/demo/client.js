// A connection to a gateway that comes back, and channels that go on where they were.
//
// Every channel keeps its position: the cursor of the last event that was handed on. A new connection asks
// for what comes after it, so that each event is handed on once and in order. What cannot be had any more is
// told by the gateway as a reset, and handed on as one.

const FIRST_RETRY_MS = 400;
const MAX_RETRY_MS = 15_000;
const STABLE_MS = 10_000;
const CONNECT_TIMEOUT_MS = 8_000;
const ANSWER_TIMEOUT_MS = 10_000;
const TOKEN_NEEDED = new Set(["unauthorized", "token_expired", "token_revoked"]);

const offsetOf = (cursor) => Number(cursor.split("-")[0]);
// The entry at offset 1 opens a channel and is never delivered: "0" stands there too.
const placeOf = (cursor) => Math.max(offsetOf(cursor), 1);

function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(12)); // randomUUID wants https
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

/**
 * Client owns one logical client. Handlers are called one after another:
 *   onStatus({state, retryAt, gateway, user, reason})   state: connecting | live | degraded | waiting | refused
 * and for each channel {onEvent(event, cursor), onReset({reason, cursor, head}, fresh), onCaughtUp()}.
 */
export class Client {
  #url;
  #onStatus;
  #session = randomName();
  #channels = new Map();
  #link = null; // the connection in use
  #next = null; // the one that takes its place while the gateway drains
  #attempts = 0;
  #timer = 0;
  #held = false; // cut on purpose
  stats = { events: 0, skipped: 0, duplicates: 0, resumed: 0, resets: 0, missing: 0, connections: 0 };

  constructor(url, onStatus) {
    this.#url = url;
    this.#onStatus = onStatus;
    addEventListener("online", () => this.#retryNow());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#retryNow());
  }

  /** start connects, and stays so from then on. */
  start() {
    this.#open();
  }

  /** subscribe follows a channel, from the oldest event on that is retained. */
  subscribe(name, handlers) {
    if (this.#channels.has(name)) return;
    const channel = { name, position: "0", fresh: true, head: null, handlers, retry: 0 };
    this.#channels.set(name, channel);
    if (this.#link?.ready) this.#ask(this.#link, [channel]);
  }

  unsubscribe(name) {
    if (this.#channels.delete(name) && this.#link?.ready) {
      this.#link.send({ type: "unsubscribe", id: 3, channels: [name] });
    }
  }

  /** cut drops the connection and stays away for a while, as a train in a tunnel does. */
  cut(ms) {
    this.#held = true;
    this.#link?.close("cut");
    this.#next?.close("cut");
    this.#link = this.#next = null;
    this.#wait(ms);
  }

  #open() {
    clearTimeout(this.#timer);
    this.#held = false;
    this.#onStatus({ state: "connecting" });
    this.#link = new Link(this.#url, this.#session, this);
  }

  #retryNow() {
    if (this.#timer && !this.#link && !this.#held) this.#open();
  }

  #wait(ms) {
    clearTimeout(this.#timer);
    this.#onStatus({ state: "waiting", retryAt: Date.now() + ms });
    this.#timer = setTimeout(() => this.#open(), ms);
  }

  /** connected is called by a link that may carry commands. */
  connected(link, frame) {
    this.stats.connections++;
    if (link === this.#next) {
      // What the old one still sends is asked for again by the new one.
      const old = this.#link;
      this.#link = link;
      this.#next = null;
      old?.close("moved");
    }
    link.stable = setTimeout(() => (this.#attempts = 0), STABLE_MS);
    this.#ask(link, [...this.#channels.values()]);
    this.#onStatus({ state: "live", gateway: frame.gateway, user: frame.user });
  }

  #ask(link, channels) {
    if (channels.length === 0) return;
    link.send({
      type: "subscribe",
      id: 2,
      channels: channels.map(({ name, position }) => ({ channel: name, cursor: position })),
    });
  }

  /** closed is called once by a link that has ended, unless the client closed it. */
  closed(link, reason) {
    if (link === this.#next) {
      this.#next = null; // the old one still serves; its end brings the next attempt
      return;
    }
    if (link !== this.#link) return;
    this.#link = null;
    if (this.#next) {
      this.#link = this.#next;
      this.#next = null;
      return;
    }
    if (reason === "refused") return;
    const bound = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#attempts++);
    this.#wait(Math.random() * bound);
  }

  /** frame is called for every frame after `connected`. */
  frame(link, frame) {
    if (link !== this.#link) return;
    const channel = this.#channels.get(frame.channel);
    switch (frame.type) {
      case "event":
        if (channel) this.#advance(link, channel, frame, 1 + (frame.skipped ?? 0));
        break;
      case "skip":
        if (channel) this.#advance(link, channel, frame, frame.skipped);
        break;
      case "subscribed":
        if (channel) this.#subscribed(channel, frame);
        break;
      case "reset":
        if (channel) this.#reset(channel, frame);
        break;
      case "moving":
        link.moving = setTimeout(() => {
          if (this.#link === link && !this.#next) this.#next = new Link(this.#url, this.#session, this);
        }, frame.after_ms);
        break;
      case "degraded":
        this.#onStatus({ state: frame.degraded ? "degraded" : "live", reason: frame.reason });
        break;
      case "error":
        this.#failed(link, channel, frame);
        break;
    }
  }

  #subscribed(channel, frame) {
    channel.retry = 0;
    channel.head = frame.head;
    if (!frame.resumed) return; // a reset follows, and says from where
    if (!channel.fresh) this.stats.resumed++;
    channel.fresh = false;
    this.#caughtUp(channel);
  }

  #reset(channel, frame) {
    channel.position = frame.cursor;
    channel.head = frame.head;
    // Where nothing was shown yet, nothing shown is wrong: the page begins with what is retained.
    const { fresh } = channel;
    channel.fresh = false;
    if (!fresh) this.stats.resets++;
    channel.handlers.onReset?.(frame, fresh);
    this.#caughtUp(channel);
  }

  /** advance takes n entries up to the frame's cursor: the next ones, ones that are known, or neither. */
  #advance(link, channel, frame, n) {
    const place = offsetOf(frame.cursor);
    const before = placeOf(channel.position);
    if (place <= before) {
      this.stats.duplicates++;
      return;
    }
    if (place - before !== n) {
      // The gateway promises that this does not happen. Ask again from the last good place.
      this.stats.missing += Math.max(0, place - before - n);
      link.close("gap");
      this.closed(link, "gap");
      return;
    }
    channel.position = frame.cursor;
    this.stats.skipped += frame.skipped ?? 0;
    if (frame.type === "event") {
      this.stats.events++;
      channel.handlers.onEvent(frame.event, frame.cursor);
    }
    this.#caughtUp(channel);
  }

  #caughtUp(channel) {
    if (channel.head && placeOf(channel.position) >= placeOf(channel.head)) {
      channel.head = null;
      channel.handlers.onCaughtUp?.();
    }
  }

  #failed(link, channel, frame) {
    if (channel && frame.retry) {
      const bound = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** channel.retry++);
      setTimeout(() => {
        if (this.#link === link && this.#channels.get(channel.name) === channel) this.#ask(link, [channel]);
      }, Math.random() * bound);
    } else if (TOKEN_NEEDED.has(frame.code)) {
      this.#onStatus({ state: "refused", reason: frame.message });
      link.close("refused");
      this.closed(link, "refused");
    } else {
      console.warn("tallywire:", frame.code, frame.message);
    }
  }
}

/** Link is one socket, from connect to its end. */
class Link {
  ready = false;
  #ws;
  #owner;
  #ended = false;
  #deadline = 0;
  #silence = 30_000;

  constructor(url, session, owner) {
    this.#owner = owner;
    this.#ws = new WebSocket(url, "tallywire.v1");
    this.#expect(CONNECT_TIMEOUT_MS);
    this.#ws.onopen = () => this.send({ type: "connect", id: 1, session });
    this.#ws.onmessage = ({ data }) => this.#message(data);
    this.#ws.onclose = (e) => this.#end(e.code === 4401 ? "refused" : "lost");
  }

  send(frame) {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.send(JSON.stringify(frame));
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.stable);
    clearTimeout(this.moving);
    this.#ws.onclose = this.#ws.onmessage = this.#ws.onopen = null;
    this.#ws.close(1000);
  }

  #end(reason) {
    if (this.#ended) return;
    this.close();
    this.#owner.closed(this, reason);
  }

  /** expect ends the link unless something arrives within a time. */
  #expect(ms) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#end("silent"), ms);
  }

  #message(text) {
    let frames;
    try {
      frames = JSON.parse(text);
    } catch {
      this.#end("garbled");
      return;
    }
    clearTimeout(this.#deadline);
    for (const frame of Array.isArray(frames) ? frames : [frames]) {
      if (this.#ended) return;
      if (frame.type === "ping") this.send({ type: "pong" });
      else if (frame.type === "connected") {
        this.ready = true;
        this.#silence = frame.ping_ms * 1.2;
        this.#owner.connected(this, frame);
      } else if (frame.type !== "pong") this.#owner.frame(this, frame);
    }
    if (this.#ended) return;
    // The gateway pings when it is silent; where even that stays away, ask once.
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.send({ type: "ping" });
      this.#expect(ANSWER_TIMEOUT_MS);
    }, this.#silence);
  }
}
