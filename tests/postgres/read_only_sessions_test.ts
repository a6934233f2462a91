import { assert, assertEquals, assertRejects } from "@std/assert";
import { StoreUnavailableError } from "../../src/errors.ts";
import { ReadOnlySessions } from "../../src/postgres/read_only_sessions.ts";
import type { SessionState } from "../../src/postgres/statements/check.ts";

const WRITABLE: SessionState = { takesWrites: true, isClosed: false, isReadOnlyOnPurpose: false };
const READ_ONLY: SessionState = { takesWrites: false, isClosed: false, isReadOnlyOnPurpose: false };
const ON_PURPOSE: SessionState = { ...READ_ONLY, isReadOnlyOnPurpose: true };
const CLOSED: SessionState = { ...READ_ONLY, isClosed: true };
/** What most drivers make of a session that ended itself. */
const TERMINATED = Object.assign(new Error("terminating connection"), { code: "57P01" });

/** Sessions that answer by a script, the last answer for ever, and a clock that the test moves. */
class Stage implements Disposable {
  readonly sessions: ReadOnlySessions;
  readonly looks: (number | undefined)[] = [];
  readonly onPurpose: boolean[] = [];
  script: (SessionState | Error | Promise<SessionState>)[];
  mayClose = true;
  now = 1_000_000;
  readonly #original = performance.now;

  constructor(...script: Stage["script"]) {
    this.script = script;
    performance.now = () => this.now;
    this.sessions = new ReadOnlySessions({
      look: async (closing) => {
        this.looks.push(closing && closing.olderThanMs);
        this.onPurpose.push(closing?.alsoOnPurpose ?? false);
        const answer = this.script.length > 1 ? this.script.shift()! : this.script[0]!;
        if (answer instanceof Error) throw answer;
        return await answer;
      },
      mayClose: () => this.mayClose,
    });
  }

  /** Checks, and returns how many looks at sessions that took, with what they were to close. */
  async check(): Promise<(number | undefined)[]> {
    const from = this.looks.length;
    await assertRejects(() => this.sessions.check(), StoreUnavailableError, "takes no writes");
    return this.looks.slice(from);
  }

  [Symbol.dispose](): void {
    performance.now = this.#original;
  }
}

/** All that promises can do has been done. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

Deno.test("ReadOnlySessions resolves at a session that takes writes", async () => {
  using stage = new Stage(WRITABLE);
  await stage.sessions.check();
  assertEquals(stage.looks, [undefined]);
});

Deno.test("ReadOnlySessions closes old sessions one after the other, up to one that takes writes", async () => {
  using stage = new Stage(READ_ONLY, TERMINATED, CLOSED, TERMINATED, WRITABLE);
  await stage.sessions.check();
  assertEquals(stage.looks, [undefined, 500, 500, 500, 500]);
});

Deno.test("ReadOnlySessions stops at a new session that takes no writes", async () => {
  using stage = new Stage(READ_ONLY, TERMINATED, CLOSED, READ_ONLY);
  const error = await assertRejects(() => stage.sessions.check(), StoreUnavailableError);
  assertEquals(error.sqlState, "25006");
  assertEquals(stage.looks, [undefined, 500, 500, 500]);
  // A standby may be promoted at any time: the next check may close sessions again.
  assertEquals(await stage.check(), [undefined, 500]);
});

Deno.test("ReadOnlySessions closes none where the client opens no new one", async () => {
  using stage = new Stage(READ_ONLY);
  stage.mayClose = false;
  assertEquals(await stage.check(), [undefined]);
  stage.sessions.met();
  await settled();
  assertEquals(stage.looks, [undefined]);
  // Then the session was not ended by the look: the server shuts down.
  stage.script = [TERMINATED];
  assertEquals(await assertRejects(() => stage.sessions.check()), TERMINATED);
  assertEquals(stage.looks, [undefined, undefined]);
});

Deno.test("ReadOnlySessions passes on every other error of a look", async () => {
  const refused = Object.assign(new Error("connection refused"), { code: "ECONNREFUSED" });
  using stage = new Stage(READ_ONLY, TERMINATED, refused);
  assertEquals(await assertRejects(() => stage.sessions.check()), refused);
  assertEquals(stage.looks, [undefined, 500, 500]);
});

Deno.test("ReadOnlySessions ends also where each session that it meets is old", async () => {
  using stage = new Stage(CLOSED);
  assertEquals((await stage.check()).length, 1001);
});

Deno.test("ReadOnlySessions pauses ever longer where sessions are read-only on purpose", async () => {
  using stage = new Stage(ON_PURPOSE, TERMINATED, ON_PURPOSE);
  assertEquals(await stage.check(), [undefined, 500]);
  assertEquals(stage.onPurpose, [false, true]);
  for (const pauseMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
    // Checks go on during a pause. They close nothing, and they do not prolong the pause.
    for (let check = 1; check <= 10; check++) {
      assertEquals(await stage.check(), [undefined], `check ${check} of ${pauseMs} ms`);
      stage.now += pauseMs / 10;
    }
    stage.script = [ON_PURPOSE, TERMINATED, ON_PURPOSE];
    assertEquals(await stage.check(), [undefined, 500], `after ${pauseMs} ms`);
  }
});

Deno.test("ReadOnlySessions closes sessions at once after one that takes writes was found", async () => {
  using stage = new Stage(ON_PURPOSE);
  await stage.check();
  assertEquals(await stage.check(), [undefined]);
  stage.script = [WRITABLE];
  await stage.sessions.check();
  // Sessions from before can still be in the pool.
  stage.script = [TERMINATED, WRITABLE];
  stage.sessions.met();
  await settled();
  assertEquals(stage.looks, [undefined, 500, undefined, undefined, 500, 500]);
  // The next pause is a first one again.
  stage.script = [ON_PURPOSE];
  await stage.check();
  stage.now += 1000;
  assertEquals(await stage.check(), [undefined, 500]);
});

Deno.test("ReadOnlySessions starts one look at a time for all statements that meet a session", async () => {
  const first = Promise.withResolvers<SessionState>();
  using stage = new Stage(first.promise, TERMINATED, WRITABLE);
  for (let i = 0; i < 10; i++) stage.sessions.met();
  await settled();
  assertEquals(stage.looks.length, 1);
  first.resolve(CLOSED);
  await settled();
  assertEquals(stage.looks.length, 3);
  for (let i = 0; i < 10; i++) stage.sessions.met();
  await settled();
  assertEquals(stage.looks.length, 4);
});

Deno.test("ReadOnlySessions starts no look during a pause, and never throws to a statement", async () => {
  using stage = new Stage(new Error("gone"));
  stage.sessions.met();
  await settled();
  stage.script = [ON_PURPOSE];
  stage.sessions.met();
  await settled();
  stage.sessions.met();
  await settled();
  assertEquals(stage.looks, [500, 500]);
  stage.now += 1000;
  stage.sessions.met();
  await settled();
  assert(stage.looks.length === 3);
});
