// A page that knows nothing but what browsers bring: fetch, EventSource and WebSocket, with the token in the
// cookie. What has to happen around the page is asked of the test, as console.mjs does.

import assert from "node:assert/strict";
import { ask } from "./ask.mjs";
import { open } from "./browser.mjs";

const config = await ask("config");
const { page, close } = await open(config);

/** get returns the status of a request by the cookie, 0 where the browser shows the page nothing. */
const get = (path) =>
  page.evaluate((url) => fetch(url, { credentials: "include" }).then((a) => a.status, () => 0), path);

try {
  const history = "/v1/channels/jobs:1/events";
  await page.goto(`${config.bases[0]}/schemas`);
  assert.equal(await get(history), 401, "without a cookie");
  const set = await page.evaluate(
    (token) => fetch("/v1/cookie", { method: "POST", headers: { Authorization: `Bearer ${token}` } }).then((a) => a.status),
    config.token,
  );
  assert.equal(set, 204);
  assert.equal(await page.evaluate(() => document.cookie), "", "scripts cannot read it");
  assert.equal(await get(history), 200);
  const upgraded = await page.evaluate(
    () => new Promise((ok, bad) => {
      const socket = new WebSocket(`${location.origin.replace("http", "ws")}/v1/ws`, "tallywire.v1");
      socket.onopen = () => socket.send('{"type":"connect"}');
      socket.onmessage = (m) => { socket.close(); ok(JSON.parse(m.data)[0]); };
      socket.onerror = bad;
    }),
  );
  assert.equal(upgraded.type, "connected");
  assert.equal(upgraded.user, "alice");

  // An EventSource that the page does not help goes on where it was, when its gateway has died and is back.
  await page.evaluate(() => {
    window.frames_ = [];
    window.source = new EventSource("/v1/sse?channel=jobs:1");
    window.source.onmessage = (m) => window.frames_.push(...JSON.parse(m.data));
  });
  const seen = (type) => page.evaluate((t) => window.frames_.filter((f) => f.type === t), type);
  const until = (type, n) =>
    page.waitForFunction(([t, count]) => window.frames_.filter((f) => f.type === t).length >= count, [type, n]);
  await until("subscribed", 1);
  const cursors = [];
  const publish = async (n) => {
    for (let i = 0; i < n; i++) {
      cursors.push((await ask("publish", { channel: "jobs:1", event: { type: "x.noted", data: { i } } })).cursor);
    }
  };
  await publish(5);
  await until("event", 5);
  await ask("kill", { gateway: 0 });
  await publish(5);
  await ask("start", { gateway: 0 });
  await publish(5);
  await until("event", 15);
  assert.deepEqual((await seen("event")).map((f) => f.cursor), cursors, "each once, in order");
  assert.deepEqual(await seen("reset"), []);
  await page.evaluate(() => window.source.close());

  // Browsers send the cookie to all ports of the host, for whatever page asks: one of another origin gets nothing.
  await page.goto(`${config.bases[1]}/schemas`);
  assert.equal(await get(history), 200, "the gateway's own page, with the cookie that another port has set");
  assert.equal(await get(config.bases[0] + history), 0, "a page of another origin");

  await page.goto(`${config.bases[0]}/schemas`);
  assert.equal(await page.evaluate(() => fetch("/v1/cookie", { method: "DELETE" }).then((a) => a.status)), 204);
  assert.equal(await get(history), 401, "after it was taken away");
} finally {
  await close();
}
process.exit(0);
