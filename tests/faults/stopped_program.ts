/**
 * A gateway's part in a test that stops its process. Its first line of input is its settings, each
 * further one a command; it writes what it sees as lines of JSON. It ends with its input.
 */

import { PostgresCircuitBreakerStore } from "../../mod.ts";
import { lines } from "../../scripts/demo/lines.ts";
import { openDriver } from "./drivers.ts";
import type { StoppedCommand, StoppedMessage, StoppedSettings } from "./stopped_process.ts";

const CALLERS = 4;
const PAUSE_MS = 20;
const POOL_SIZE = 4;

function say(message: StoppedMessage): void {
  console.log(JSON.stringify(message));
}

const input = lines(Deno.stdin.readable);
const settings: StoppedSettings = JSON.parse((await input.next()).value!);
const { driver, mode, url, timeoutMs, maxStalenessMs, silenceMs, key } = settings;
const { client } = openDriver(driver, url, POOL_SIZE, silenceMs);
const store = new PostgresCircuitBreakerStore(client, undefined, {
  timeoutMs,
  onOutage: mode.endsWith("local") ? "local" : "throw",
  maxStalenessMs: mode.startsWith("bounded") ? maxStalenessMs : 0,
  onError: (error) => say({ type: "reported", message: `${error}` }),
  onOutageChange: ({ isOut, cause }) =>
    say({ type: "outage", isOut, ...cause && { cause: `${cause}` } }),
});
let isBusy = false;
const callers: Promise<void>[] = [];

/** The clock of all processes on this machine: when a call was made decides what it may say. */
async function ask(): Promise<void> {
  const madeAt = Date.now();
  try {
    const { state } = await store.getState(key);
    say({ type: "answer", madeAt, state });
  } catch (error) {
    say({ type: "failure", madeAt, message: `${error}` });
  }
}

async function record(key: string): Promise<void> {
  try {
    await store.recordFailure(key);
    say({ type: "recorded", key });
  } catch (error) {
    say({ type: "rejected", key, message: `${error}` });
  }
}

async function load(caller: number): Promise<void> {
  while (isBusy) {
    await ask();
    await record(`${driver} ${mode} ${caller}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

for await (const line of input) {
  const command: StoppedCommand = JSON.parse(line);
  if (command.type === "load") {
    isBusy = command.isBusy;
    if (isBusy) {
      for (let caller = 0; caller < CALLERS; caller++) callers.push(load(caller));
    } else {
      await Promise.all(callers);
      say({ type: "rested" });
    }
  } else if (command.type === "record") {
    void record(command.key);
  } else {
    for (let asked = 0; asked < command.calls; asked++) await ask();
    say({ type: "asked" });
  }
}
Deno.exit();
