import { assert, assertEquals } from "@std/assert";
import { ABSENT_CIRCUIT, type Circuit, NO_DETAILS, type Vote } from "../../src/circuit.ts";
import { StoreUnavailableError } from "../../src/errors.ts";
import type { Answer, Votes } from "../../src/ports.ts";
import { Ballots } from "../../src/quorum/ballots.ts";
import type { Call } from "../../src/time/call.ts";
import { Deadlines } from "../../src/time/deadlines.ts";

/** A statement in flight, which the test answers. */
interface InFlight {
  readonly text: string;
  answer(): void;
  fail(): void;
}

/** Ballots whose statements the test answers, and whose clock it sets. */
class Stage {
  at = 1_000_000;
  readonly inFlight: InFlight[] = [];
  /** All statements so far. */
  readonly sent: string[] = [];
  /** The circuits of the answers to votes. */
  readonly heard: string[] = [];
  /** Whether the answer to a vote shows that the circuit was zeroed, and the votes in it. */
  isZeroed = false;
  standing: Vote[] = [];
  readonly deadlines = new Deadlines(50);
  readonly ballots: Ballots;

  constructor() {
    const votes: Votes = {
      vote: (_, key) => {
        const details = { ...NO_DETAILS, votes: this.standing };
        const circuit = { ...ABSENT_CIRCUIT, key, details };
        return this.#send<Answer<Circuit>>(`vote ${key}`, { circuit, source: "database" });
      },
      withdraw: (_, keys) => this.#send<void>(`withdraw ${keys}`, undefined),
    };
    this.ballots = new Ballots({
      votes,
      label: "me",
      now: () => this.at,
      deadlines: this.deadlines,
      onAnswer: (ballot) => {
        this.heard.push(ballot.key);
        if (this.isZeroed) this.ballots.follow(ballot);
      },
    });
  }

  call(): Call {
    return this.deadlines.begin();
  }

  #send<Result>(text: string, result: Result): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.sent.push(text);
    this.inFlight.push({
      text,
      answer: () => resolve(result),
      fail: () => reject(new StoreUnavailableError("Cannot vote for opening: connection lost")),
    });
    return promise;
  }

  /** Answers the statement in flight, and all that follow it. */
  async answerAll(): Promise<void> {
    for (let next = this.inFlight.shift(); next !== undefined; next = this.inFlight.shift()) {
      next.answer();
      await settled();
    }
  }

  /** Casts a vote. */
  async cast(key = "api") {
    const ballot = this.ballots.findOrAdd(key);
    const opened = this.ballots.open(ballot, this.call());
    await settled();
    await this.answerAll();
    await opened;
    return ballot;
  }
}

/** Lets all that waits for a settled promise go on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

Deno.test("a vote is renewed ten seconds after it was stored, also where the clock was set back", async () => {
  const stage = new Stage();
  const ballot = await stage.cast();
  assertEquals([stage.sent, stage.heard], [["vote api"], ["api"]]);
  for (const distance of [9999, -9999]) {
    stage.at += distance;
    stage.ballots.renew(ballot);
    stage.at -= distance;
  }
  assertEquals(stage.sent, ["vote api"]);
  stage.at -= 10_000;
  stage.ballots.renew(ballot);
  stage.ballots.renew(ballot);
  assertEquals(stage.sent, ["vote api", "vote api"]);
});

Deno.test("a vote that fails is sent again with the next call, and fails no call", async () => {
  const stage = new Stage();
  const ballot = stage.ballots.findOrAdd("api");
  const opened = stage.ballots.open(ballot, stage.call());
  await settled();
  stage.inFlight.shift()!.fail();
  assertEquals(await opened, undefined);
  stage.ballots.renew(ballot);
  stage.inFlight.shift()!.fail();
  await settled();
  stage.ballots.renew(ballot);
  await stage.answerAll();
  stage.ballots.renew(ballot);
  assertEquals(stage.sent, ["vote api", "vote api", "vote api"]);
});

Deno.test("a circuit that closes while its vote is in flight withdraws it after that", async () => {
  const stage = new Stage();
  const ballot = stage.ballots.findOrAdd("api");
  const opened = stage.ballots.open(ballot, stage.call());
  await settled();
  const closed = stage.ballots.close(ballot, stage.call());
  await settled();
  assertEquals(stage.sent, ["vote api"]);
  await stage.answerAll();
  await Promise.all([opened, closed]);
  assertEquals(stage.sent, ["vote api", "withdraw api"]);
  stage.ballots.renew(ballot);
  assertEquals(stage.sent.length, 2);
});

Deno.test("a call waits for a vote in flight until its own deadline", async () => {
  const stage = new Stage();
  const ballot = await stage.cast();
  stage.at += 10_000;
  stage.ballots.renew(ballot);
  assertEquals(stage.inFlight.length, 1);
  await stage.ballots.close(ballot, stage.call());
  assertEquals(stage.sent, ["vote api", "vote api"]);
  // The vote was sent, so the next call withdraws it.
  await stage.answerAll();
  stage.ballots.renew(ballot);
  assertEquals(stage.sent.at(-1), "withdraw api");
});

Deno.test("a vote without an answer is withdrawn, and one that was never sent is not", async () => {
  const stage = new Stage();
  const ballot = stage.ballots.findOrAdd("api");
  await stage.ballots.close(ballot, stage.call());
  assertEquals(stage.sent, []);
  const opened = stage.ballots.open(ballot, stage.call());
  await settled();
  stage.inFlight.shift()!.fail();
  await opened;
  const closed = stage.ballots.close(ballot, stage.call());
  await settled();
  stage.inFlight.shift()!.fail();
  await closed;
  stage.ballots.renew(ballot);
  await stage.answerAll();
  stage.ballots.renew(ballot);
  assertEquals(stage.sent, ["vote api", "withdraw api", "withdraw api"]);
});

Deno.test("a vote without an answer is withdrawn where the fleet's circuit moved meanwhile", async () => {
  const stage = new Stage();
  const ballot = stage.ballots.findOrAdd("api");
  const opened = stage.ballots.open(ballot, stage.call());
  await settled();
  // The fleet opens, closes again, and then the vote comes, whose answer is lost.
  stage.ballots.follow(ballot);
  stage.inFlight.shift()!.fail();
  await opened;
  stage.ballots.renew(ballot);
  await stage.answerAll();
  stage.ballots.renew(ballot);
  assertEquals(stage.sent, ["vote api", "withdraw api"]);
});

Deno.test("a vote that came after a zeroing is withdrawn, although the zeroing is heard of later", async () => {
  const stage = new Stage();
  const ballot = await stage.cast();
  stage.ballots.follow(ballot, [{ label: "me", seenAt: stage.at }]);
  stage.ballots.renew(ballot);
  assertEquals(stage.sent, ["vote api", "withdraw api"]);
});

Deno.test("what the fleet's circuit has ended is not withdrawn", async () => {
  const stage = new Stage();
  const ballot = await stage.cast();
  stage.ballots.follow(ballot);
  stage.ballots.renew(ballot);
  await stage.ballots.close(ballot, stage.call());
  await stage.ballots.end(stage.call());
  assertEquals(stage.sent, ["vote api"]);
});

for (const label of ["me", "another"]) {
  Deno.test(`a vote on a circuit that was zeroed before is withdrawn where that of ${label} stands`, async () => {
    const stage = new Stage();
    stage.isZeroed = true;
    stage.standing = [{ label, seenAt: stage.at }];
    const ballot = await stage.cast();
    stage.ballots.renew(ballot);
    assertEquals(stage.sent, label === "me" ? ["vote api", "withdraw api"] : ["vote api"]);
  });
}

Deno.test("the end withdraws all votes that may stand, in pieces, and sends none after them", async () => {
  const stage = new Stage();
  const opened = Array.from(
    { length: 600 },
    (_, i) => stage.ballots.open(stage.ballots.findOrAdd(`api ${i}`), stage.call()),
  );
  await settled();
  for (const { answer } of stage.inFlight.splice(0)) answer();
  await Promise.all(opened);
  const last = stage.ballots.findOrAdd("last");
  void stage.ballots.open(last, stage.call());
  const silent = stage.ballots.findOrAdd("silent");
  const ended = stage.ballots.end(stage.call());
  await settled();
  assertEquals(stage.sent.at(-1), "vote last");
  await stage.answerAll();
  await ended;
  const withdrawn = stage.sent.filter((text) => text.startsWith("withdraw"));
  assertEquals(withdrawn.map((text) => text.split(",").length), [500, 101]);
  assert(withdrawn[1]!.endsWith(",last"));
  await stage.ballots.open(silent, stage.call());
  stage.ballots.renew(silent);
  assertEquals(stage.inFlight, []);
});

Deno.test("an end that cannot withdraw does not reject", async () => {
  const stage = new Stage();
  await stage.cast();
  const ended = stage.ballots.end(stage.call());
  await settled();
  stage.inFlight.shift()!.fail();
  await ended;
  assertEquals(stage.sent, ["vote api", "withdraw api"]);
});
