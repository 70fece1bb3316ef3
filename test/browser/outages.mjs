// What befalls the workbench, in order. After each step everything that it has counted is compared with what is in Redis.

import assert from "node:assert/strict";
import { accessible } from "./accessible.mjs";
import { freezable } from "./freezable.mjs";
import { tab } from "./tab.mjs";

/** The number of the job that is looked at, which runs for more than a minute, and those that there may be. */
const JOB = "0001";
const JOBS = ["0000", JOB, "0002", "0003", "0004"];

/** gatewayOf returns the number of the gateway to which a tab is connected. */
const gatewayOf = async (one) => Number((await one.status()).gateway.replace("gw-", "")) - 1;

/** cut cuts the connection from the page's own menu, and returns when. */
async function cut({ page, said }) {
  const before = await page.evaluate(() => Date.now());
  await page.getByRole("button", { name: "Chaos" }).click();
  await page.getByRole("group", { name: "Break something" }).getByRole("button", { name: "Cut the connection" }).click();
  return (await said(before)).find((s) => s.transport === null).at;
}

/** more waits until there are so many events more in Redis, whether or not the page has them. */
async function more({ ask, one }, by) {
  const jobs = JOBS.map((number) => one.job().slice(0, -JOB.length) + number);
  return ask("grown", { channels: jobs.flatMap((job) => [`jobs:${job}`, `matches:${job}`]), by });
}

export const steps = {
  async "quiet: the workbench is live"({ one, everySize }) {
    const { page } = one;
    await one.says("Live");
    assert.equal((await one.status()).transport, "websocket");
    await one.choose(await one.newest(JOB));
    const bar = page.locator(`[data-job="${one.job()}"]`).getByRole("progressbar");
    await page.waitForFunction(
      (e) => Number(e.getAttribute("aria-valuenow")) > 0 && document.querySelectorAll(".rows .row").length > 5, await bar.elementHandle());
    const before = await one.shown();
    await page.waitForFunction((n) => window.__tallywire.read().received > n, (await one.account()).received + 100);
    assert((await one.shown()).all > before.all, "more matches are shown");
    // Nobody looks closely, so that the newest come to the top, again and again.
    const top = () => page.locator(".row[aria-rowindex='2']").getAttribute("id");
    for (let n = 0, id = await top(); n < 3; n++, id = await top()) {
      await page.waitForFunction((was) => document.querySelector(".row[aria-rowindex='2']").id !== was, id);
    }
    await everySize("live", accessible);
  },

  async "quiet: another tab is another session, and each shows both"(all) {
    const { one, config, shot, page } = all;
    const two = await tab(await page.context().newPage(), config.url);
    await two.says("Live");
    await two.choose(one.job());
    all.tabs.push(two);
    const [a, b] = [await one.status(), await two.status()];
    assert.notEqual(a.session, b.session);
    assert.notEqual(a.user, b.user);
    for (const [at, other] of [[one, b.user], [two, a.user]]) {
      await at.page.getByRole("list", { name: /here$/ }).getByRole("img", { name: other }).waitFor();
    }
    await two.page.getByRole("grid", { name: "Matches" }).hover(); // rows stay under a pointer
    await two.page.locator(".row[aria-rowindex='2']").click();
    // A face is a button while there is something to show that its owner looks at.
    await one.page.getByRole("list", { name: /here$/ }).getByRole("button", { name: b.user }).click();
    const shown = one.page.locator('.row[aria-selected="true"]');
    await shown.getByRole("img", { name: b.user }).waitFor();
    // It is seen whole: what is over its corners is the row itself.
    await one.page.waitForFunction((row) => {
      const { left, right, top, bottom } = row.getBoundingClientRect();
      return [[left + 9, top + 2], [right - 9, bottom - 2]].every(([x, y]) => row.contains(document.elementFromPoint(x, y)));
    }, await shown.elementHandle());
    await page.bringToFront(); // as a browser shows and measures it, only one is in front
    await shot("two");
  },

  async "the connection is cut"({ one, figure, ask }) {
    await ask("avoid", { gateway: 0 }); // lest the demonstration stop with a gateway that is killed
    await one.settled();
    figure("connection cut in the page", await one.healed(await cut(one)));
    assert.notEqual(await gatewayOf(one), 0);
  },

  async "its gateway is killed"({ one, figure, ask }) {
    await one.settled();
    const gateway = await gatewayOf(one);
    const { at } = await ask("kill", { gateway });
    figure("gateway killed", await one.healed(at));
    assert.notEqual(await gatewayOf(one), gateway);
    await ask("start", { gateway });
  },

  async "a page is frozen, and its gateway killed meanwhile"(all) {
    const { config, one, figure, ask, watch } = all;
    const browser = await freezable(config.chromium);
    try {
      watch(browser.page);
      const third = await tab(browser.page, config.url);
      await third.choose(one.job());
      await third.caughtUp();
      const gateway = await gatewayOf(third);
      const began = Date.now();
      await browser.freeze();
      await ask("kill", { gateway });
      await more(all, 100);
      await ask("start", { gateway });
      const thawed = Date.now();
      await browser.thaw();
      figure("thawed, its gateway gone", await third.healed(thawed));
      const said = await third.said(began);
      const [freeze, resume] = ["freeze", "resume"].map((title) => said.find((s) => s.title === title));
      assert(freeze && resume.at >= thawed && resume.received === freeze.received, "nothing came while it was frozen");
      await third.audit();
    } finally {
      await browser.close();
    }
    await ask("welcome", { gateway: 0 });
  },

  async "WebSockets are blocked, then streams too, then neither"(all) {
    const { one, figure, ask, everySize } = all;
    await one.settled();
    const { user } = await one.status();
    let { at } = await ask("block", { paths: ["/v1/ws"] });
    figure("WebSocket blocked, to the event stream", (await one.over("sse")) - at);
    await one.settled();
    for (const each of all.tabs) await each.audit();
    ({ at } = await ask("block", { paths: ["/v1/sse"] }));
    figure("streams blocked too, to polling", (await one.over("poll")) - at);
    await one.says("Polling");
    assert.equal((await one.status()).user, user, "it is still the same user");
    await more(all, 50);
    for (const each of all.tabs) await each.audit();
    ({ at } = await ask("unblock")); // before it looks for a better way the first time: then it looks again later
    await everySize("polling");
    figure("neither blocked, to WebSocket", (await one.over("websocket")) - at);
    for (const each of all.tabs) await each.over("websocket");
    assert.deepEqual((await one.said(at)).filter((s) => !["Polling", "Live"].includes(s.title)), [], "the way back up is quiet");
  },

  async "all gateways are replaced, one after the other"(all) {
    const { one, figure, ask } = all;
    const began = Date.now();
    const { reconnects } = await one.account();
    const { gateway: before } = await one.status();
    for (const gateway of [0, 1, 2]) {
      await ask("stop", { gateway });
      await ask("start", { gateway });
    }
    figure("rolling restart, in all", Date.now() - began);
    await one.caughtUp();
    const said = await one.said(began);
    assert.deepEqual(said.filter((s) => s.title !== "Live"), [], "nobody sees it");
    assert.equal((await one.account()).reconnects, reconnects, "it went to another gateway before it left the one");
    const visited = [before, ...said.map((s) => s.gateway)];
    assert(visited.length > 1, `it has been at ${visited.join(", ")}`);
    // The demonstration began anew as well, with jobs of its own.
    const next = await one.newest(JOB);
    for (const each of all.tabs) await each.choose(next);
  },

  async "the tab is offline"(all) {
    const { one, page, figure, shot, ask } = all;
    await page.context().setOffline(true);
    await ask("cut"); // a browser that is told to be offline keeps the sockets that it has
    await one.says("Offline");
    await more(all, 100);
    await shot("offline");
    const back = Date.now();
    await page.context().setOffline(false);
    figure("back from offline", (await one.caughtUp()) - back);
    await one.says("Live");
  },

  async "the demonstration ends, and each table shows what its events say"({ tabs, one, ask, everySize }) {
    await ask("stop", { gateway: 0 });
    const { counts } = await ask("matches", { channel: `matches:${one.job()}` });
    const all = Object.values(counts).reduce((a, b) => a + b, 0);
    assert(all > 100, `${all} matches`);
    for (const each of tabs) {
      await each.caughtUp();
      const { heads } = await ask("heads", { channels: await each.channels() });
      const { channels } = await each.account();
      for (const [name, head] of Object.entries(heads)) {
        assert.equal(Number.parseInt(channels[name].lastCursor ?? "1", 10), Math.max(1, head), `${name} ends with its last event`);
      }
      await each.page.waitForFunction((n) => document.querySelector(".filters b").textContent.replace(/\D/g, "") === String(n), all);
      const shown = await each.shown();
      assert.equal(shown.all, all);
      for (const [status, n] of Object.entries(counts)) assert.equal(shown[status], n, status);
    }
    await everySize("end");
  },
};
