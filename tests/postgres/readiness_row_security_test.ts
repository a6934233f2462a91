import { assertEquals } from "@std/assert";
import { migrate } from "../../src/postgres/migrate.ts";
import { inOps, openStage, PRIVILEGES } from "./readiness_stage.ts";

Deno.test("checkReadiness finds row level security that hides an open circuit", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  await stage.run("insert into ops.circuits (key, state) values ('api', 'open')");
  // What a store makes of its row, or of none.
  const state = async () =>
    (await stage.client.query("select state from ops.circuits")).rows[0]?.state ?? "closed";
  assertEquals(await state(), "open");

  const table = '"ops"."circuits"';
  const others = `or alter table ${table} disable row level security, or ` +
    `alter role ${stage.quoted} bypassrls`;
  const hidden = (fix: string) =>
    "CircuitBreakerStoreError 42501: Cannot check: row level security can hide circuits from " +
    `${stage.quoted}, and an open circuit that is hidden reads as closed, run ${fix}, ${others}`;
  const create = `create policy "circuit_breaker" on ${table} to ${stage.quoted} ` +
    "using (true) with check (true)";

  await stage.run("alter table ops.circuits enable row level security");
  assertEquals(await state(), "closed");
  assertEquals(await stage.check(), hidden(create));

  await stage.run("create policy closed_only on ops.circuits using (state = 'closed')");
  assertEquals(await state(), "closed");
  assertEquals(await stage.check(), hidden(create));

  await stage.run(create);
  assertEquals(await state(), "open");
  assertEquals(await stage.check(), "ready");

  await stage.run("create policy fence on ops.circuits as restrictive using (state = 'closed')");
  assertEquals(await state(), "closed");
  assertEquals(await stage.check(), hidden(`drop policy "fence" on ${table}`));

  await stage.run(`drop policy circuit_breaker on ops.circuits`);
  assertEquals(await stage.check(), hidden(`drop policy "fence" on ${table}; ${create}`));

  for (
    const fix of [
      `alter role ${stage.quoted} bypassrls`,
      `alter table ${table} disable row level security`,
    ]
  ) {
    await stage.run(fix);
    assertEquals(await state(), "open");
    assertEquals(await stage.check(), "ready");
    await stage.run(`alter role ${stage.quoted} nobypassrls`);
  }
});

Deno.test("checkReadiness passes row level security only where each command sees every row", async () => {
  await using stage = await openStage();
  await migrate(stage.admin, "ops.circuits");
  await stage.grantAll();
  await stage.run("alter table ops.circuits enable row level security");
  const select = "for select using (true)";
  const insert = "for insert with check (true)";
  const update = "for update using (true)";
  const remove = "for delete using (true)";
  const { quoted } = stage;
  const cases: [isReady: boolean, ...policies: string[]][] = [
    [true, "using (true)"],
    [true, "for all to public using (true) with check (true)"],
    [true, select, insert, update, remove],
    [true, "using (true)", "using (state = 'open')"],
    [true, "using (true)", "as restrictive using (true)"],
    [true, "using (true)", `as restrictive to ${quoted}_other using (false)`],
    [true, "using (true)", "as restrictive for insert with check (true)"],
    [false],
    [false, `to ${quoted}_other using (true)`],
    [false, "using (true) with check (state <> 'open')"],
    [false, "using (state <> 'open') with check (true)"],
    [false, "using (state is not null)"],
    [false, select, insert, update],
    [false, select, insert, remove],
    [false, select, update, remove],
    [false, insert, update, remove],
    [false, select, insert, `${update} with check (state = 'open')`, remove],
    [false, "using (true)", "as restrictive for select using (state = 'closed')"],
    [false, "using (true)", "as restrictive for insert with check (state = 'closed')"],
    [false, "using (true)", "as restrictive for update using (true) with check (false)"],
  ];
  const other = `"${stage.role}_other"`;
  await stage.run(`create role ${other}`);
  try {
    for (const [isReady, ...policies] of cases) {
      const named = policies.map((policy) => policy.replaceAll(`${quoted}_other`, other));
      for (const [i, policy] of named.entries()) {
        await stage.run(`create policy p${i} on ops.circuits ${policy}`);
      }
      assertEquals(await stage.check() === "ready", isReady, policies.join("; "));
      for (const i of policies.keys()) await stage.run(`drop policy p${i} on ops.circuits`);
    }

    // A policy for a group is one for its members.
    await stage.run(`create policy members on ops.circuits to ${other} using (true)`);
    assertEquals(await stage.check() === "ready", false);
    await stage.run(`grant ${other} to ${quoted}`);
    assertEquals(await stage.check(), "ready");

    // An owner is exempt, unless the table says otherwise.
    await stage.run("drop policy members on ops.circuits");
    for (const [object] of PRIVILEGES) {
      await stage.run(`alter table ${inOps(object.replace("sequence ", ""))} owner to ${quoted}`);
    }
    assertEquals(await stage.check(), "ready");
    await stage.run("alter table ops.circuits force row level security");
    assertEquals(await stage.check() === "ready", false);
  } finally {
    await stage.run(`drop owned by ${other}`);
    await stage.run(`drop role ${other}`);
  }
});
