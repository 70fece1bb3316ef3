import assert from "node:assert/strict";
import { mkdtemp, mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** What is no success is said by browsers as an error, too. */
const NETWORK = /Failed to load resource|ERR_CONNECTION|WebSocket connection/;

/** open starts a browser with an empty profile and one page, which is as large as `size` on a desktop. */
export async function open({ chromium: executablePath, shots, size: [deskWidth, deskHeight] = [1280, 800] }) {
  const profile = await mkdtemp(join(tmpdir(), "console-test-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath, args: ARGS, viewport: { width: deskWidth, height: deskHeight }, colorScheme: "light", reducedMotion: "reduce", timezoneId: "UTC",
  });
  context.setDefaultTimeout(15_000);
  const page = context.pages()[0] ?? (await context.newPage());
  const complaints = [];
  const listen = (to) => {
    to.on("console", (m) => m.type() === "error" && complaints.push(m.text()));
    to.on("pageerror", (e) => complaints.push(`${e.message}\n${e.stack}`));
    to.on("request", (r) => {
      const host = new URL(r.url()).hostname;
      if (host !== "127.0.0.1") complaints.push(`a request to ${r.url()}`);
    });
  };
  listen(page);
  context.on("page", listen);
  if (shots) await mkdir(shots, { recursive: true });

  return {
    page,
    /** watch has another page's complaints count, too. */
    watch: listen,
    /** checkQuiet fails where a page has complained of anything but, with `outage`, answers that are no success. */
    checkQuiet(step, outage = true) {
      const real = complaints.filter((text) => !outage || !NETWORK.test(text));
      complaints.length = 0;
      assert.deepEqual(real, [], `${step}: the page complains`);
    },
    async shot(name, of = page) {
      if (shots) await of.screenshot({ animations: "disabled", timeout: 60_000, path: join(shots, `${name}.png`) });
    },
    /**
     * everySize takes pictures at the sizes and in the colours that people have, and looks for what sticks out. `check` is
     * called for each of them.
     */
    async everySize(name, check) {
      for (const [width, height] of [[deskWidth, deskHeight], [1024, 768], [390, 844]]) {
        await page.setViewportSize({ width, height });
        for (const colorScheme of ["light", "dark"]) {
          await page.emulateMedia({ colorScheme });
          if (shots) await page.screenshot({ animations: "disabled", timeout: 60_000, path: join(shots, `${name}-${width}-${colorScheme}.png`) });
          await check?.(page, `${name} at ${width}, ${colorScheme}`);
        }
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert(wide <= 0, `${name} is ${wide} px too wide at ${width}`);
      }
      await page.setViewportSize({ width: deskWidth, height: deskHeight });
      await page.emulateMedia({ colorScheme: "light" });
    },
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}
