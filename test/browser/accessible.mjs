// Looks for what keeps people out: contrast, names, roles, as far as a program can see that.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** accessible fails where axe finds something in a page as it is shown now. */
export async function accessible(page, name) {
  await page.evaluate(source); // as a debugger would: the page's policy allows scripts of its own only
  const { violations } = await page.evaluate(() => {
    // What is lit since before the colours were changed still has the old ones, for a moment.
    for (const a of document.getAnimations()) a.cancel();
    return window.axe.run(document, { resultTypes: ["violations"] });
  });
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => `${n.target} ${n.failureSummary}`).join("\n")}`);
  assert.deepEqual(found, [], `${name} is not accessible`);
}
