// Opens the newcomer's page and waits until it shows what the demonstration does.
//
//     node newcomer.mjs CHROMIUM URL
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const { chromium } = createRequire(new URL('../browser/package.json', import.meta.url))('playwright-core');
const [executablePath, url] = process.argv.slice(2);

const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
try {
  const page = await browser.newPage();
  const said = [];
  const complaints = [];
  page.on('console', (m) => (m.type() === 'error' || m.type() === 'warning' ? complaints : said).push(m.text()));
  page.on('pageerror', (e) => complaints.push(String(e)));
  await page.goto(url);
  await page.getByText(/^(running|completed): [1-9][0-9]* % \(live, websocket\)$/).waitFor({ timeout: 30_000 });
  assert.ok(said.some((line) => /^percent \d/.test(line)), `the subscription says how far the job is: ${said}`);
  assert.deepEqual(complaints, []);
} finally {
  await browser.close();
}
