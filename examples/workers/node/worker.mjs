#!/usr/bin/env node
// Publishes a small job to Redis: usage: worker.mjs REDIS_URL JOB_ID [ATTEMPT]
// Needs the ordinary client, nothing else: npm ci
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, ErrorReply } from "redis";

const SOURCE = "node-worker";
const TRIES = 5;

/** Error replies that tell of the server's state, not of the call: it may work in a moment. */
const PASSING = /^(LOADING|BUSY|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS) /;

/**
 * Appends an event; resolves to its cursor, and whether it was there already.
 *
 * The id makes it safe to repeat: after a lost connection nobody knows whether the event was appended,
 * and a second call with the same id is answered with the cursor of the first.
 */
async function publish(client, channel, event) {
  for (let attempt = 1; ; attempt++) {
    try {
      const [cursor, duplicate] = await client.fCall("tw_publish", {
        keys: [`tw:{${channel}}`],
        arguments: [JSON.stringify(event), `id=${event.source}/${event.id}`],
      });
      return { cursor, duplicate: duplicate === 1 };
    } catch (error) {
      if (attempt === TRIES || (error instanceof ErrorReply && !PASSING.test(error.message))) throw error;
      await sleep((0.5 + Math.random() / 2) * 100 * 2 ** attempt);
    }
  }
}

async function main(url, job, attempt) {
  const client = createClient({
    url,
    commandOptions: { timeout: 5000 },
    socket: {
      connectTimeout: 5000,
      reconnectStrategy: (retries, cause) => (retries < TRIES ? 100 * 2 ** retries : cause),
    },
  });
  client.on("error", () => {}); // told to whoever waits for an answer
  await client.connect();
  try {
    let number = 0;
    const step = async (type, data) => {
      const event = {
        id: `${job}.${attempt}.${++number}`,
        source: SOURCE,
        type,
        subject: `job/${job}`,
        data: { job_id: job, attempt, ...data },
      };
      const { cursor, duplicate } = await publish(client, `jobs:${job}`, event);
      console.log(`${cursor} ${type}${duplicate ? " (duplicate)" : ""}`);
    };

    const total = 500;
    await step("job.started", { name: "Node example", kind: "example", total });
    for (let processed = 100; processed <= total; processed += 100) {
      await sleep(20); // the work
      await step("job.progress", { processed, total, percent: (100 * processed) / total });
    }
    await step("job.completed", { processed: total, matched: total - 3, unmatched: 3 });
  } finally {
    client.destroy();
  }
}

const [url, job, attempt = "1", ...rest] = process.argv.slice(2);
if (!url || !/^[A-Za-z0-9_.-]{1,64}$/.test(job ?? "") || !/^[1-9][0-9]{0,8}$/.test(attempt) || rest.length > 0) {
  console.error("usage: worker.mjs REDIS_URL JOB_ID [ATTEMPT]; an id has letters, digits, '_', '.' and '-'");
  process.exit(2);
}
try {
  await main(url, job, Number(attempt));
} catch (error) {
  console.error(`worker.mjs: ${error.message || error.code || error}`);
  process.exitCode = 1;
}
