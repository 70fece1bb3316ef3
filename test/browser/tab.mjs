// A tab that shows the workbench, and what it tells about itself: the badge, and window.__tallywire.

import assert from "node:assert/strict";
import { ask } from "./ask.mjs";

/** How long something may take that mends itself. */
const HEALS = { timeout: 60_000 };

/** STABLE_MS of the client. */
const LASTS_MS = 5_000;

/** watch keeps, in the page, what the badge has said and when. It runs before the page's own scripts. */
function watch() {
  window.said = [];
  const look = () => {
    const badge = document.querySelector("[data-testid=connection]");
    const title = badge?.querySelector("strong")?.textContent;
    const { transport = null, gateway = null } = window.__tallywire?.status() ?? {};
    const last = window.said.at(-1);
    if (!title || (last?.title === title && last.transport === transport && last.gateway === gateway)) return;
    window.said.push({ title, transport, gateway, at: Date.now() });
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
  for (const title of ["freeze", "resume"]) {
    document.addEventListener(title, () => window.said.push({ title, received: window.__tallywire.read().received, at: Date.now() }));
  }
}

/** tab opens the workbench in a page. */
export async function tab(page, url) {
  await page.addInitScript(watch);
  await page.goto(url);
  let job = ""; // that is chosen

  /** until waits until a function returns something, and returns that. Frames would not do: a tab behind another has one a second. */
  const until = (fn, arg) => page.waitForFunction(fn, arg, { ...HEALS, polling: 20 }).then((value) => value.jsonValue());
  const account = () => page.evaluate(() => window.__tallywire.read());
  const status = () => page.evaluate(() => window.__tallywire.status());
  /** said returns what the badge has said since then. */
  const said = (since = 0) => page.evaluate((t) => window.said.filter((s) => s.at >= t), since);
  /** says waits until the badge says this. */
  const says = (title) => page.getByTestId("connection").getByRole("status").filter({ hasText: title }).waitFor(HEALS);
  /** over waits until the connection goes over a transport, and returns since when. */
  const over = (transport) => until((name) => window.__tallywire.status().transport === name && Date.now(), transport);

  /** channels returns those that the page follows now: of the matches, those of the chosen job. */
  async function channels() {
    const all = Object.keys((await account()).channels);
    return all.filter((name) => !/^(matches:|jobs:none)/.test(name) || name === `matches:${job}`);
  }

  /** caughtUp waits until the page is live and has everything that is in Redis by then, and returns when that was. */
  async function caughtUp() {
    await until(() => window.__tallywire.status().status === "live");
    const { heads } = await ask("heads", { channels: await channels() });
    return until((want) => {
      const { channels: have } = window.__tallywire.read();
      // The first entry of a channel is none that anybody gets.
      return Object.entries(want).every(([name, head]) => head < 2 || Number.parseInt(have[name].lastCursor ?? "0", 10) >= head) && Date.now();
    }, heads);
  }

  return {
    page, account, status, said, says, over, caughtUp, channels,
    job: () => job,
    /** newest returns the id of the newest job with that number that is not the chosen one, once it is listed: each run of the demonstration has its tag. */
    newest: (number) => page.locator(`[data-job$="-${number}"]:not([data-job="${job}"])`).first().getAttribute("data-job", HEALS),
    async choose(name) {
      job = name;
      await page.locator(`[data-job="${name}"]`).click();
      await page.getByRole("heading", { name: `Matches ${name}` }).waitFor();
    },
    /** settled waits until the connection is one that has lasted: a client takes others for a network that does not work. */
    settled: () => until((ms) => window.said.at(-1).title === "Live" && Date.now() - window.said.at(-1).at > ms, LASTS_MS),
    /** healed waits until the page has caught up after a cut at that time, and returns how long it took. */
    async healed(cut) {
      await until((t) => window.said.some((s) => s.at >= t && s.title !== "Live"), cut);
      const ms = (await caughtUp()) - cut;
      const titles = (await said(cut)).map((s) => s.title);
      assert(titles.includes("Reconnecting"), `the badge says ${titles.join(", ")}`);
      return ms;
    },
    /** audit compares what the page has counted with what is in Redis. */
    async audit() {
      await caughtUp();
      await ask("audit", { account: await account() });
    },
    /** shown returns the numbers beside the filters of the table, by status. */
    async shown() {
      const texts = await page.getByRole("group", { name: "Show" }).getByRole("button").allInnerTexts();
      return Object.fromEntries(texts.map((text) => [/\p{L}+/u.exec(text)[0].toLowerCase(), Number(text.replace(/\D/g, ""))]));
    },
  };
}
