import { assert, assertEquals, assertMatch } from "@std/assert";
import { TcpProxy } from "../faults/tcp_proxy.ts";
import { openStage } from "./stage.ts";

Deno.test("open, close, release and reset act, with actor and reason in the log", async () => {
  await using stage = await openStage();
  const acts = [
    ["open", "payments", "--reason", "one", "--for", "10m", "--yes"],
    ["close", "payments", "--reason", "two", "--yes", "--actor", "ada"],
    ["release", "payments", "--reason", "three", "--yes"],
    ["reset", "payments", "--reason", "four", "--yes"],
  ];
  const states: string[] = [];
  for (const act of acts) {
    const before = Date.now();
    const { code, err } = await stage.cli(act);
    assertEquals(code, 0, err);
    const [listing] = await stage.store.list();
    states.push(listing === undefined ? "gone" : `${listing.state} ${listing.forced?.by}`);
    const until = listing?.forced?.until;
    if (until !== undefined) assert(until - before >= 590_000 && until - before < 620_000);
  }
  assertEquals(states, ["open operator@host", "closed ada", "gone", "gone"]);
  assertEquals(
    (await stage.store.history()).map(({ cause, actor, reason }) => [cause, actor, reason]),
    [
      ["force", "operator@host", "one"],
      ["force", "ada", "two"],
      ["release", "operator@host", "three"],
    ],
  );
  await stage.store.transition("payments", "open");
  const { out } = await stage.cli(["reset", "payments", "--yes", "--json"]);
  assertEquals(out, "null\n");
});

Deno.test("what changes traffic asks, says what it will do, and does nothing without a yes", async () => {
  await using stage = await openStage();
  await stage.store.forceOpen("forced");
  for (
    const [act, words] of [
      [["open", "payments", "--reason", "x"], /^Force payments open: every instance refuses every/],
      [
        ["close", "payments", "--reason", "x", "--for", "1h"],
        /through, whatever fails, for 1h, until/,
      ],
      [["release", "forced"], /^End the forced state of forced \(open by gateway-1\)/],
      [["reset", "payments"], /^Forget payments for every instance/],
      [["migrate", "--down"], /^Take the schema of "stoma_circuit_breakers" away/],
    ] as const
  ) {
    const before = await stage.store.list();
    const refused = await stage.cli(act, { answer: false });
    assertEquals(refused.code, 4);
    assertMatch(refused.err, words);
    assertMatch(refused.err, /Do it\? \[y\/N\] Nothing was done\.\n$/);
    const alone = await stage.cli(act);
    assertEquals(alone.code, 4);
    assertMatch(alone.err, /there is no terminal, pass --yes/);
    assertEquals((await stage.store.list()).length, before.length);
    assertEquals(await stage.store.history({ key: "payments" }), []);
  }
});

Deno.test("an act on a circuit of which nothing is kept says so: the key may be wrong", async () => {
  await using stage = await openStage();
  const { err } = await stage.cli(["open", "paymets", "--reason", "x", "--yes"]);
  assertMatch(err, /^Note that nothing is kept of paymets: check the key\.\n$/);
  const asked = await stage.cli(["open", "paymnts", "--reason", "x"], { answer: false });
  assertMatch(asked.err, /Now: closed, and nothing is kept of it\. Is the key right\?/);
});

Deno.test("an act whose answer is lost says that it may have taken effect", async () => {
  await using stage = await openStage();
  await using proxy = TcpProxy.start(stage.url);
  const url = new URL(stage.url);
  url.port = String(proxy.port);
  const { code, err } = await stage.cli(
    ["open", "payments", "--reason", "x", "--timeout", "500ms"],
    { env: { DATABASE_URL: url.href }, answer: true, onQuestion: () => proxy.hang() },
  );
  assertEquals(code, 3, err);
  assertMatch(
    err,
    /It may have taken effect all the same: look with show payments\.\nCannot force/,
  );
});
