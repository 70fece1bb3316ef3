// Opens tabs that share one connection, and closes them while events come. What has to happen around them is asked of
// the test that runs this: a line of JSON on standard output, answered by one on standard input.

import assert from "node:assert/strict";
import { ask } from "./ask.mjs";
import { open } from "./browser.mjs";

/** How long what takes a moment may take. Frames would not do to look again: a tab behind another has one a second. */
const SOON = { timeout: 10_000, polling: 20 };

const config = await ask("config");
const browser = await open(config);
const context = browser.page.context();
const figure = (what, value) => process.stderr.write(`   ${what}: ${value}\n`);

/** tab opens one, which begins at a cursor, and waits until it gets events. */
async function tab(from = "now", page = null) {
  page ??= await context.newPage();
  let sockets = 0;
  page.on("websocket", () => sockets++);
  await page.goto(`${config.url}?from=${from}`);
  const until = (fn, arg) => page.waitForFunction(fn, arg, SOON);
  await until(() => window.live?.());
  const told = () => page.evaluate(() => window.told);
  return {
    told, until,
    /** sockets returns how many it has ever opened. */
    sockets: () => sockets,
    statuses: async () => (await told()).statuses,
    /** more waits until so many more events have come. */
    async more(count) {
      const { events } = await told();
      await until((n) => window.told.events.length >= n, events.length + count);
    },
    /** has fails where it has not got exactly these events, each once and in order. */
    async has(cursors) {
      await until((n) => window.told.events.length >= n, cursors.length);
      const { events, resets, errors } = await told();
      assert.deepEqual(events, cursors.map((cursor, i) => ({ n: i + 1, cursor, skipped: 0 })));
      assert.deepEqual({ resets, errors }, { resets: [], errors: [] });
    },
    close: () => page.close(),
    /** crash ends the tab's process, which says goodbye to nobody. */
    async crash() {
      const inspector = await context.newCDPSession(page);
      const crashed = page.waitForEvent("crash");
      inspector.send("Page.crash").catch(() => {}); // who is asked to does not live to answer
      await crashed;
    },
  };
}

/** single waits until the gateway has one connection, and fails where it was not asked for so many until then. */
async function single(ever) {
  assert.equal((await ask("single")).ever, ever, "connections that were opened");
}

/** during publishes 100 events a second while something happens. All tabs that are left then have all that was ever published. */
async function during(fn) {
  await ask("traffic");
  await fn();
  const { cursors } = await ask("quiet");
  for (const each of tabs) await each.has(cursors);
}

/** gone has the tab that leads close or crash, and waits until another one leads and events come again. */
async function gone(how) {
  const [leader] = tabs.splice(tabs.findIndex((each) => each.sockets() > 0), 1);
  const before = await Promise.all(tabs.map((each) => each.statuses()));
  const began = Date.now();
  await leader[how]();
  // All others were without a connection, and have one again.
  await Promise.all(tabs.map((each, i) => each.until((n) => window.told.statuses.length > n && window.live(), before[i].length)));
  figure("taken over after", `${Date.now() - began} ms`);
  await Promise.all(tabs.map((each) => each.more(50)));
  assert.deepEqual(tabs.map((each) => each.sockets()).filter((n) => n > 0), [1], "one tab leads");
}

const tabs = [];
const steps = {
  async "two tabs share one connection, and each gets every event"() {
    tabs.push(await tab("now", browser.page));
    tabs.push(await tab());
    await during(() => Promise.all(tabs.map((each) => each.more(100))));
    assert.deepEqual(tabs.map((each) => each.sockets()), [1, 0]);
    await single(1);
  },

  async "a tab that follows joins while events come, and gets all that was before"() {
    await during(async () => {
      tabs.push(await tab("0"));
      await Promise.all(tabs.map((each) => each.more(50)));
    });
    await single(1);
  },

  async "a tab that follows is closed, and nothing changes for others"() {
    const before = await Promise.all(tabs.slice(0, 2).map((each) => each.statuses()));
    await during(async () => {
      await tabs.pop().close();
      await Promise.all(tabs.map((each) => each.more(50)));
    });
    assert.deepEqual(await Promise.all(tabs.map((each) => each.statuses())), before);
    await single(1);
  },

  async "the tab that leads is closed, and the other one takes over"() {
    await during(() => gone("close"));
    assert.equal(tabs.length, 1);
    await single(2);
  },

  async "tabs join the one that took over"() {
    tabs.push(await tab("0"), await tab("0"));
    await during(() => Promise.all(tabs.map((each) => each.more(50))));
    assert.deepEqual(tabs.map((each) => each.sockets()), [1, 0, 0]);
    await single(2);
  },

  async "that one crashes, and one of two takes over"() {
    await during(() => gone("crash"));
    assert.equal(tabs.length, 2);
    await single(3);
  },
};

try {
  for (const [name, step] of Object.entries(steps)) {
    const began = Date.now();
    try {
      await step();
      browser.checkQuiet(name, false);
    } catch (e) {
      e.message = `${name}: ${e.message}`;
      for (const each of tabs) {
        const { events, ...rest } = await each.told();
        process.stderr.write(`a tab has ${events.length} events and ${each.sockets()} sockets, the last ones ${JSON.stringify({ ...rest, events: events.slice(-3) })}\n`);
      }
      throw e;
    }
    process.stderr.write(`ok ${name} (${Date.now() - began} ms)\n`);
  }
} finally {
  await browser.close();
}
process.exit(0);
