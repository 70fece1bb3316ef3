// Drives the workbench through everything that breaks between it and Redis. What has to happen around the page is asked
// of the test that runs this: a line of JSON on standard output, answered by one on standard input.

import { ask } from "./ask.mjs";
import { open } from "./browser.mjs";
import { steps } from "./outages.mjs";
import { tab } from "./tab.mjs";

const config = await ask("config");
const browser = await open({ ...config, size: [1440, 900] });
const one = await tab(browser.page, config.url);
const figure = (what, ms) => process.stderr.write(`   ${what}: ${Math.round(ms)} ms\n`);
const all = { ...browser, config, ask, one, tabs: [one], figure };
try {
  for (const [name, step] of Object.entries(steps)) {
    const began = Date.now();
    try {
      await step(all);
      for (const each of all.tabs) await each.audit();
      browser.checkQuiet(name, !name.startsWith("quiet: "));
    } catch (e) {
      for (const [n, each] of all.tabs.entries()) await browser.shot(`failed-${n + 1}`, each.page);
      const { lastError, retryAt } = await one.status();
      process.stderr.write(`${name} fails. Until ${Date.now()} the badge said ${JSON.stringify(await one.said(began))}, at last of ${JSON.stringify({ ...lastError, retryAt })}\n`);
      throw e;
    }
    process.stderr.write(`ok ${name} (${Date.now() - began} ms)\n`);
  }
} finally {
  await browser.close();
}
process.exit(0);
