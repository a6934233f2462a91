/**
 * What the store may expect of a client that can listen. The runner is injected, so the same tests run
 * under Deno and Bun.
 */

import { assert, assertEquals } from "@std/assert";
import type { PostgresClient } from "../../src/types.ts";
import type { TestRunner } from "../conformance/session.ts";
import { until } from "../support/until.ts";

/** A driver that can listen. */
export interface ListeningUnderTest {
  readonly name: string;
  /** Opens the driver on one connection to a database in which no other connection listens. */
  open(): Promise<{ readonly client: PostgresClient } & AsyncDisposable>;
}

/** How soon a loss has to be known. */
const LOST_WITHIN_MS = 2000;

/** Defines every test of listening for one driver. */
export function listeningContract(runner: TestRunner, driver: ListeningUnderTest): void {
  const test = (name: string, body: (client: PostgresClient) => Promise<void>) =>
    runner.test(`${driver.name}: ${name}`, async () => {
      await using opened = await driver.open();
      await body(opened.client);
    });

  test("what is sent is received in order, and nothing from other channels", async (client) => {
    const inbox = await Inbox.open(client, "news");
    await send(client, "others", "not for us");
    for (let n = 0; n < 50; n++) await send(client, "news", `payload ${n}`);
    await inbox.received("payload 49");
    assertEquals(inbox.payloads, Array.from({ length: 50 }, (_, n) => `payload ${n}`));
    await inbox.unlisten();
  });

  test("channels may have any name that the contract allows, and any payload", async (client) => {
    const names = ["a", "_", "1st", "select", "constructor", "__proto__", "n".repeat(63)];
    const payload = ` it's "quoted" \\ ${"p".repeat(82)} `;
    const inboxes = await Promise.all(names.map((name) => Inbox.open(client, name)));
    for (const name of names) await send(client, name, payload);
    await Promise.all(inboxes.map((inbox) => inbox.received(payload)));
    for (const inbox of inboxes) assertEquals(inbox.payloads, [payload]);
    await Promise.all(inboxes.map((inbox) => inbox.unlisten()));
  });

  test("two subscriptions to a channel end one by one, each once", async (client) => {
    const [first, second] = await Promise.all([
      Inbox.open(client, "news"),
      Inbox.open(client, "news"),
    ]);
    await send(client, "news", "both");
    await Promise.all([first.received("both"), second.received("both")]);
    const ends = [first.unlisten(), first.unlisten()];
    await send(client, "news", "one");
    await Promise.all([...ends, second.received("one")]);
    await first.unlisten();
    await send(client, "news", "still one");
    await second.received("still one");
    assertEquals(first.payloads, ["both"]);
    assertEquals(second.payloads, ["both", "one", "still one"]);
    await second.unlisten();
  });

  test("a channel that was left can be listened to again", async (client) => {
    const marker = await Inbox.open(client, "marker");
    for (let round = 0; round < 5; round++) {
      const inbox = await Inbox.open(client, "news");
      await send(client, "news", `round ${round}`);
      await inbox.received(`round ${round}`);
      await inbox.unlisten();
      await send(client, "news", "nobody there");
      await send(client, "marker", `after ${round}`);
      await marker.received(`after ${round}`);
      assertEquals(inbox.payloads, [`round ${round}`]);
    }
    await marker.unlisten();
  });

  test("a pool of one connection serves statements meanwhile", async (client) => {
    const inbox = await Inbox.open(client, "news");
    const pids = await Promise.all(
      Array.from({ length: 5 }, () => client.query("select pg_backend_pid() as pid")),
    );
    const listeners = await listenerPids(client);
    assertEquals(listeners.length, 1);
    for (const { rows } of pids) assert(!listeners.includes(Number(rows[0]!.pid)));
    await inbox.unlisten();
  });

  test("nothing is left on the server after the last one", async (client) => {
    const inboxes = [await Inbox.open(client, "a"), await Inbox.open(client, "b")];
    assert((await listenerPids(client)).length > 0);
    await Promise.all(inboxes.map((inbox) => inbox.unlisten()));
    await until(async () => (await listenerPids(client)).length === 0, LOST_WITHIN_MS);
  });

  test("a lost connection is reported once, and a new one can be had", async (client) => {
    for (let round = 0; round < 3; round++) {
      const inboxes = await Promise.all(["a", "a", "b"].map((name) => Inbox.open(client, name)));
      await endListeners(client);
      await Promise.all(inboxes.map((inbox) => inbox.lost()));
      const again = await Inbox.open(client, "a");
      await send(client, "a", "for the new one");
      await again.received("for the new one");
      for (const inbox of inboxes) assertEquals(inbox.payloads, []);
      await Promise.all(inboxes.map((inbox) => inbox.unlisten()));
      await send(client, "a", "still there");
      await again.received("still there");
      await again.unlisten();
      assert(!again.isLost);
    }
  });

  test("subscriptions come and go at once without getting in each other's way", async (client) => {
    await Promise.all(Array.from({ length: 12 }, async (_, n) => {
      for (let round = 0; round < 3; round++) {
        const inbox = await Inbox.open(client, `channel_${n % 3}`);
        const payload = `${n} ${round}`;
        await send(client, `channel_${n % 3}`, payload);
        await inbox.received(payload);
        await inbox.unlisten();
        assert(!inbox.isLost);
      }
    }));
    await until(async () => (await listenerPids(client)).length === 0, LOST_WITHIN_MS);
  });
}

/** A subscription, and what it received. */
export class Inbox {
  readonly payloads: string[] = [];
  /** Whether its connection was reported as lost. */
  isLost = false;
  #unlisten: Awaited<ReturnType<NonNullable<PostgresClient["listen"]>>> = () => Promise.resolve();
  #waiting: { payload: string; resolve(): void }[] = [];

  /** Listens. */
  static async open(client: PostgresClient, channel: string): Promise<Inbox> {
    const inbox = new Inbox();
    inbox.#unlisten = await client.listen!(channel, (payload) => {
      inbox.payloads.push(payload);
      inbox.#waiting = inbox.#waiting.filter((each) => {
        if (each.payload === payload) each.resolve();
        return each.payload !== payload;
      });
    });
    inbox.#unlisten.lost?.then(() => inbox.isLost = true);
    return inbox;
  }

  /** Resolves as soon as a payload has been received. */
  async received(payload: string): Promise<void> {
    if (this.payloads.includes(payload)) return;
    const reception = new Promise<void>((resolve) => this.#waiting.push({ payload, resolve }));
    await soon(`"${payload}"`, reception);
  }

  /** Resolves as soon as the loss is known. */
  async lost(): Promise<void> {
    await soon("a loss", this.#unlisten.lost ?? Promise.reject(new Error("cannot be lost")));
  }

  async unlisten(): Promise<void> {
    await this.#unlisten();
  }
}

/** Sends a notification. */
export async function send(client: PostgresClient, channel: string, text: string): Promise<void> {
  await client.query("select pg_notify($1::text, $2::text) is null as sent", [channel, text]);
}

/** Terminates the connections that listen in this database. */
export async function endListeners(client: PostgresClient): Promise<void> {
  for (const pid of await listenerPids(client)) {
    await client.query("select pg_terminate_backend($1::int)", [pid]);
  }
}

/** The server's processes for connections that listen in this database. */
export async function listenerPids(client: PostgresClient): Promise<number[]> {
  const { rows } = await client.query(
    `select pid from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and query ~* '^(un)?listen '`,
  );
  return rows.map(({ pid }) => Number(pid));
}

async function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come`)), LOST_WITHIN_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
