// Drives the console. What has to happen around the page is asked of the test that runs this: a line of JSON
// on standard output, answered by one on standard input.

import { ask } from "./ask.mjs";
import { open } from "./browser.mjs";
import { steps } from "./steps.mjs";

const config = await ask("config");
const page = await open(config);
try {
  for (const [name, step] of Object.entries(steps)) {
    const began = Date.now();
    try {
      await step({ ...page, config, ask });
      page.checkQuiet(name);
    } catch (e) {
      await page.shot("failed");
      e.message = `${name}: ${e.message}`;
      throw e;
    }
    process.stderr.write(`ok ${name} (${Date.now() - began} ms)\n`);
  }
} finally {
  await page.close();
}
process.exit(0);
