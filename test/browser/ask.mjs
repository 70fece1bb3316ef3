import assert from "node:assert/strict";
import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** ask has the test that runs the script do something, and returns what it answers. */
export async function ask(what, args = {}) {
  process.stdout.write(`${JSON.stringify({ do: what, ...args })}\n`);
  const { value, done } = await lines.next();
  assert(!done, "the test has ended");
  const answer = JSON.parse(value);
  assert(!answer.error, answer.error);
  return answer;
}
