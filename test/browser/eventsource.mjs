// Opens the page with the documented EventSource and waits until it has shown as many events as it shall.
// Arguments: the browser, the page's address, how many events. Prints what was shown.

import { open } from "./browser.mjs";

const [chromium, address, count] = process.argv.slice(2);
const { page, checkQuiet, close } = await open({ chromium });
try {
  await page.goto(address);
  await page.waitForFunction(() => window.source?.readyState === 1);
  process.stdout.write("open\n");
  await page.waitForFunction((n) => window.shown.length >= n, Number(count), { timeout: 60_000 });
  process.stdout.write(`${JSON.stringify(await page.evaluate(() => ({ shown: window.shown, breaks: window.breaks })))}\n`);
  checkQuiet("the documented lines");
} finally {
  await close();
}
process.exit(0);
