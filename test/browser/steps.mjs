// What a person does in the console, in order. Every wait is for something that the page shows.

import assert from "node:assert/strict";

const row = (page, text) => page.getByRole("row").filter({ hasText: text });

/** go opens a view by its link, as people do. */
async function go(page, name) {
  await page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
}

export const steps = {
  async "nobody gets in without an admin token"({ page, config, everySize }) {
    await page.goto(config.bases[0]);
    const error = page.locator("#token-error");
    const tryToken = async (token, says) => {
      await page.getByLabel("Admin token").fill(token);
      await page.getByRole("button", { name: "Sign in" }).click();
      await error.filter({ hasText: says }).waitFor();
    };
    await tryToken("let me in", "This is not a token");
    await tryToken(config.clientToken, "Its audience is “tallywire”");
    await tryToken(config.powerless, "does not carry the admin permission");
    await tryToken(config.expired, "has expired");
    await everySize("sign-in");
    assert.equal(await page.evaluate(() => sessionStorage.length), 0, "nothing is kept of them");
  },

  async "the overview shows three gateways"({ page, config, everySize, ask }) {
    await page.getByLabel("Admin token").fill(`Bearer ${config.token}`);
    await page.keyboard.press("Enter");
    for (const name of ["gw-1", "gw-2", "gw-3"]) await row(page, name).filter({ hasText: "Ready" }).waitFor();
    await page.locator(".tile", { hasText: "Gateways ready" }).filter({ hasText: "3 / 3" }).waitFor();
    await page.locator("#pulse[data-state=live]").waitFor();
    await ask("traffic");
    await page.locator(".tile", { hasText: "Delivered a second" }).filter({ hasText: /[1-9]/ }).waitFor();
    // What is asked every other second must not move what is there.
    const shift = await page.evaluate(() => new Promise((done) => {
      let sum = 0;
      new PerformanceObserver((l) => l.getEntries().forEach((e) => (sum += e.value))).observe({ type: "layout-shift" });
      let changes = 0;
      new MutationObserver((_, o) => ++changes > 2 && (o.disconnect(), done(sum))).observe(document.querySelector("main"), { subtree: true, childList: true, characterData: true });
    }));
    assert(shift < 0.02, `the layout shifts by ${shift}`);
    await everySize("overview");
  },

  async "the page works by keyboard"({ page }) {
    await page.reload(); // the tab stays signed in
    await row(page, "gw-1").waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.id), "find-text");
    await page.keyboard.type("jobs:42");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "jobs:42" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "main", "what was asked for has the focus");
    // Everything that can be used says what it is.
    const nameless = await page.evaluate(() => [...document.querySelectorAll("button, a, input, textarea, summary")]
      .filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML));
    assert.deepEqual(nameless, []);
  },

  async "channels are found by prefix"({ page, everySize }) {
    await go(page, "Channels");
    await row(page, "jobs:42").waitFor();
    await everySize("channels");
    await page.getByLabel("Begins with").fill("matches:");
    await page.getByRole("button", { name: "Search" }).click();
    await row(page, "matches:7").waitFor();
    assert.equal(await row(page, "jobs:42").count(), 0);
    await page.getByLabel("Begins with").fill("nothing:");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByText("No channel that begins with “nothing:” is open").waitFor();
    await page.goBack();
    await page.getByRole("link", { name: "matches:7" }).waitFor();
    await go(page, "Channels");
    await page.getByRole("link", { name: "jobs:42" }).click();
    await page.getByRole("heading", { name: "jobs:42" }).waitFor();
  },

  async "a channel is followed live"({ page, ask, everySize }) {
    const tail = page.locator(".tail-panel");
    await tail.locator(".pulse[data-state=live]").waitFor();
    await ask("publish", { channel: "jobs:42", event: { type: "job.noted", subject: "job/42", data: { text: "first <b>bold</b>" } } });
    await tail.locator("li", { hasText: "first <b>bold</b>" }).waitFor(); // shown, not parsed
    await tail.getByRole("button", { name: "Pause" }).click();
    await ask("publish", { channel: "jobs:42", event: { type: "x.other", data: { text: "second" } } });
    await tail.getByText("paused, 1 new event").waitFor();
    assert.equal(await tail.locator("li", { hasText: "second" }).count(), 0);
    await tail.getByRole("button", { name: "Go on" }).click();
    await tail.locator("li", { hasText: "second" }).waitFor();
    await tail.getByLabel("Filter by type or subject").fill("job.*");
    await tail.locator("li", { hasText: "second" }).waitFor({ state: "detached" });
    assert.equal(await tail.locator("li", { hasText: "first" }).count(), 1);
    await tail.locator("li", { hasText: "first" }).locator("summary").click();
    await tail.getByRole("link", { name: "Who got it?" }).waitFor();
    await everySize("channel");
    await tail.getByLabel("Filter by type or subject").fill("");
  },

  async "a member joins and appears, and leaves"({ page, ask }) {
    const members = page.getByRole("region", { name: "Members", exact: true });
    await ask("join", { user: "carol", channel: "jobs:42", gateway: 1 });
    await members.getByRole("row").filter({ hasText: "carol" }).filter({ hasText: "Live" }).waitFor();
    await page.locator("#said", { hasText: "carol joined jobs:42" }).waitFor({ state: "attached" });
    await ask("leave", { user: "carol" });
    await members.getByRole("row").filter({ hasText: "carol" }).waitFor({ state: "detached" });
  },

  async "a test event is published, or refused with its reason"({ page }) {
    await page.getByText("Publish a test event").click();
    await page.getByLabel("Event", { exact: true }).fill('{"data": 1}');
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByText("(invalid_event)").waitFor();
    await page.getByLabel("Event", { exact: true }).fill('{"type": "x.console", "data": {"text": "by hand"}}');
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByText(/Published as \d+-\d+/).waitFor();
    await page.locator(".tail li", { hasText: "by hand" }).waitFor();
  },

  async "a user's sessions are shown, and one is disconnected"({ page, ask, everySize }) {
    await ask("join", { user: "dave", channel: "jobs:42", gateway: 2 });
    await page.locator("#find-text").fill("@dave");
    await page.locator("#find-text").press("Enter");
    await page.getByRole("heading", { name: "dave", exact: true }).waitFor();
    const card = page.locator(".session", { hasText: "s-dave" });
    await card.filter({ hasText: "websocket on gw-3" }).waitFor();
    await everySize("user");
    await card.getByRole("button", { name: /Disconnect/ }).click();
    const dialog = page.getByRole("dialog");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel", "Enter by accident does nothing");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await card.getByRole("button", { name: /Disconnect/ }).click();
    await dialog.getByRole("button", { name: "Disconnect" }).click();
    await dialog.getByText("1 connection closed.").waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    await page.getByText("Not connected to any gateway now.").waitFor();
    await page.locator("#find-text").fill("@nobody");
    await page.locator("#find-text").press("Enter");
    await page.getByText("Not connected to any gateway now.").waitFor();
  },

  async "a dead letter is corrected and published"({ page, ask, everySize }) {
    await ask("publish", { channel: "jobs:42", event: { id: "d1", source: "worker", type: "job.progress", data: { job_id: "42", percent: 101 } } });
    await go(page, "Dead letters");
    await row(page, "jobs:42").first().waitFor();
    await everySize("dead-letters");
    await row(page, "jobs:42").first().getByRole("link", { name: /^Show/ }).click();
    const editor = page.getByLabel("The event, as it was published.");
    const text = await editor.inputValue();
    const publish = page.getByRole("button", { name: /Publish again/ });
    const dialog = page.getByRole("dialog");
    await publish.click();
    await dialog.getByRole("button", { name: "Publish" }).click();
    await dialog.getByText("(invalid_event)").waitFor();
    await everySize("dead-letter");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await editor.fill(text.slice(1));
    await publish.click();
    await page.getByText("This is not JSON").waitFor();
    await editor.fill('{"id":"d1","source":"worker","type":"x.corrected","data":{"percent":100}}');
    await publish.click();
    await dialog.getByText("corrected").waitFor();
    await dialog.getByRole("button", { name: "Publish" }).click();
    await dialog.getByText(/Published as \d+-\d+/).waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
  },

  async "why an event did not arrive is explained"({ page, ask, everySize }) {
    const { cursor } = await ask("delivered", { user: "alice", channel: "jobs:42" });
    await go(page, "Explain");
    await page.getByLabel("User", { exact: true }).fill("alice");
    await page.getByLabel("Channel", { exact: true }).fill("jobs:42");
    await page.getByLabel("Cursor of the event").fill(cursor);
    await page.getByRole("button", { name: "Explain", exact: true }).click();
    await page.locator(".verdict[data-outcome=delivered]").filter({ hasText: "written to a socket of alice" }).waitFor();
    await everySize("explain");
    await page.getByLabel("User", { exact: true }).fill("nobody");
    await page.getByRole("button", { name: "Explain", exact: true }).click();
    await page.locator(".verdict[data-outcome=not_connected]").waitFor();
    await page.getByLabel("Cursor of the event").fill("42");
    await page.getByRole("button", { name: "Explain", exact: true }).click();
    await page.getByText("(invalid_cursor)").waitFor();
  },

  async "a gateway is killed and the page shows it"({ page, ask, everySize }) {
    await go(page, "Overview");
    await row(page, "gw-3").filter({ hasText: "Ready" }).waitFor();
    await ask("kill", { gateway: 2 });
    await row(page, "gw-3").filter({ hasText: /No answer|Dead/ }).waitFor();
    await page.locator(".tile[data-state=bad]", { hasText: "2 / 3" }).waitFor();
    await page.locator("#said", { hasText: "Gateway gw-3 is" }).waitFor({ state: "attached" });
    await everySize("killed");
    await row(page, "gw-3").filter({ hasText: "Gone" }).waitFor(); // its members are reaped, and the page remembers it
    await row(page, "gw-1").filter({ hasText: "Ready" }).waitFor();
  },

  async "the page says when its own gateway is gone"({ page, ask, everySize }) {
    await ask("kill", { gateway: 0 });
    await page.getByRole("alert").filter({ hasText: "does not answer. What is shown is from" }).waitFor();
    await page.locator("#pulse[data-state=lost]").waitFor();
    await everySize("lost");
    await ask("start", { gateway: 0 });
    await page.locator("#pulse[data-state=live]").waitFor({ timeout: 30_000 });
    assert.equal(await page.getByRole("alert").filter({ hasText: "does not answer" }).count(), 0);
  },

  async "a token that was revoked opens nothing any more"({ page, ask }) {
    await ask("revoke");
    await page.getByText("Your token was revoked.").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  },
};
