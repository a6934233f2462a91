import { migrate } from "../../mod.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";
import { until } from "../support/until.ts";
import { type Scenario, testScenarios } from "./scenario.ts";
import { last, type Stage } from "./stage.ts";

const LOCK = 7;

/** Changes a setting of the running server for all sessions, and waits until the server has read it. */
async function set(stage: Stage, name: string, value?: string): Promise<void> {
  await using sql = stage.connectServer();
  await sql.unsafe("set default_transaction_read_only = off");
  const current = async () => {
    const [row] = await sql`select reset_val as value from pg_settings where name = ${name}`;
    return row!.value;
  };
  const before = await current();
  await sql.unsafe(
    `alter system ${value === undefined ? `reset ${name}` : `set ${name} = ${value}`}`,
  );
  await sql`select pg_reload_conf()`;
  await until(async () => await current() !== before, 30_000);
}

/** Has all loads call for a circuit whose row another session holds, until a setting has effect. */
function lockedRow(setting?: string, sqlState = ""): Scenario {
  return {
    async fault(stage) {
      await using sql = stage.connect();
      await sql`insert into stoma_circuit_breakers (key) values ('locked')`;
      if (setting !== undefined) await set(stage, setting, "'50ms'");
      const locked = Promise.withResolvers<void>();
      const release = Promise.withResolvers<void>();
      const holding = sql.begin(async (sql) => {
        await sql.unsafe(`set local ${setting ?? "lock_timeout"} = 0`);
        await sql`select from stoma_circuit_breakers where key = 'locked' for update`;
        locked.resolve();
        await release.promise;
      });
      await Promise.race([locked.promise, holding]);
      await stage.each(({ load }) => load.send({ type: "also", key: "locked" }));
      await stage.untilOut();
      await last(1500);
      release.resolve();
      await holding;
      if (setting !== undefined) await set(stage, setting);
    },
    expects: [`StoreTimeoutError${sqlState}`],
    allows: ["StoreTimeoutError"],
    outages: [1, Infinity],
  };
}

testScenarios({
  "another program's statements hold the whole pool": {
    async fault(stage) {
      await using sql = stage.connect();
      await sql`select pg_advisory_lock(${LOCK})`;
      await stage.each(({ load }) =>
        load.send({ type: "hold", connections: load.settings.connections, lock: LOCK })
      );
      await stage.untilOut();
      await last(1000);
      await sql`select pg_advisory_unlock(${LOCK})`;
    },
    expects: ["StoreTimeoutError", "StoreUnavailableError"],
    outages: [1, 4],
    stage: { load: { connections: 2 } },
  },
  "the server is read-only": {
    async fault(stage) {
      await set(stage, "default_transaction_read_only", "on");
      await stage.untilOut();
      await last(1000);
      await set(stage, "default_transaction_read_only");
    },
    expects: ["StoreUnavailableError 25006", "StoreUnavailableError"],
    outages: [1, 2],
  },
  "the database is dropped, made again and migrated": {
    async fault(stage) {
      await using sql = stage.connectServer();
      await sql.unsafe(`drop database ${stage.database} with (force)`);
      await stage.untilOut();
      await last(500);
      await sql.unsafe(`create database ${stage.database} template template0 encoding 'UTF8'`);
      await stage.migrate();
    },
    expects: ["StoreUnavailableError"],
    allows: [
      "StoreUnavailableError 57P01",
      "StoreUnavailableError 3D000",
      "SchemaError 42P01",
      // A store that connects while the database is being dropped may wait for too long.
      "StoreTimeoutError",
    ],
    outages: [1, 2],
    keepsCounts: false,
  },
  "the table is dropped and made again": {
    async fault(stage) {
      await using sql = stage.connect();
      await sql`drop table stoma_circuit_breakers cascade`;
      await stage.phase("without a table");
      await stage.migrate();
    },
    expects: ["SchemaError 42P01"],
    // A call that has to wait for the table to be made may do so for too long.
    allows: ["StoreTimeoutError"],
    outages: [0, 2],
    keepsCounts: false,
  },
  "the table is made anew in one transaction, again and again": {
    async fault(stage) {
      await using sql = stage.connect();
      for (let round = 0; round < 5; round++) {
        await sql.begin(async (sql) => {
          await sql`drop table stoma_circuit_breakers cascade`;
          await migrate(fromPostgresJs(sql));
        });
        await stage.phase(`table ${round}`, 50);
      }
    },
    // A call that has to wait for the table to be made may do so for too long.
    allows: ["StoreTimeoutError"],
    outages: [0, 2],
    keepsCounts: false,
  },
  "rows have states that no release writes": {
    async fault(stage) {
      await using sql = stage.connect();
      for (let round = 0; round < 5; round++) {
        // In the order in which the stores lock rows: locking in another order can deadlock.
        await sql`
          with c as (select key from stoma_circuit_breakers order by key collate "C" for update)
          update stoma_circuit_breakers as broken set state = ${`broken ${round}`}
          from c where broken.key = c.key`;
        await stage.phase(`broken ${round}`, 50);
      }
    },
    outages: [0, 0],
  },
  "another session holds the row of one circuit": lockedRow(),
  "a statement_timeout of 50 ms ends statements": lockedRow("statement_timeout", " 57014"),
  "a lock_timeout of 50 ms ends statements": lockedRow("lock_timeout", " 55P03"),
});
