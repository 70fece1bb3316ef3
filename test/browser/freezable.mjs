import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/**
 * freezable starts a browser whose page can be frozen, as browsers do with one that nobody has looked at for long. The
 * other one cannot be: there every page counts as looked at all the time.
 */
export async function freezable(path) {
  const profile = await mkdtemp(join(tmpdir(), "frozen-"));
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0", `--user-data-dir=${profile}`];
  const child = spawn(path, [...args, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((ok) => child.once("exit", ok));
  let address;
  for await (const line of createInterface({ input: child.stderr })) {
    [, address] = /DevTools listening on (ws:\S+)/.exec(line) ?? [];
    if (address) break;
  }
  child.stderr.resume();
  const browser = await chromium.connectOverCDP(address, { noDefaults: true });
  const [context] = browser.contexts();
  const page = context.pages()[0] ?? (await context.newPage());
  const inspector = await context.newCDPSession(page);
  return {
    page,
    /** freeze freezes the page, behind another tab. */
    async freeze() {
      await context.newPage();
      await inspector.send("Page.setWebLifecycleState", { state: "frozen" });
    },
    /** thaw has somebody look at it again. */
    async thaw() {
      await inspector.send("Page.setWebLifecycleState", { state: "active" });
      await page.bringToFront();
    },
    async close() {
      await browser.close();
      child.kill();
      await ended;
      await rm(profile, { recursive: true, force: true });
    },
  };
}
