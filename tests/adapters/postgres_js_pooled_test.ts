import { assertEquals } from "@std/assert";
import { connect, createDatabase } from "../support/database.ts";
import { pooledTest, startPgBouncer } from "../support/pgbouncer.ts";
import { fromPostgresJs } from "../../src/adapters/postgres_js.ts";

const ROUNDS = 200;
const ANSWERS_WITHIN_MS = 20_000;

// The driver sends further statements behind one without parameters, and asks the server first how it
// understands one with parameters. PgBouncer 1.18 gives the connection away between that question and its answer.
pooledTest(
  "statements of both kinds at once are answered behind PgBouncer",
  async (_t, command) => {
    await using database = await createDatabase();
    await using pooler = await startPgBouncer(command, 2);
    for (const options of [{}, { prepare: false }]) {
      await using sql = connect(pooler.urlOf(database.name), {
        max: 2,
        fetch_types: false,
        ...options,
      });
      const client = fromPostgresJs(sql, { prepare: false });
      const late = Promise.withResolvers<never>();
      const timer = setTimeout(
        () => late.reject(new Error("some statements are never answered")),
        ANSWERS_WITHIN_MS,
      );
      try {
        for (let round = 0; round < ROUNDS; round++) {
          const answers = Promise.all(
            Array.from(
              { length: 6 },
              (_, each) =>
                each % 2 === 0
                  ? client.query("select '0' as n")
                  : client.query("select $1::text as n", [`${each}`]),
            ),
          );
          const rows = (await Promise.race([answers, late.promise])).flatMap(({ rows }) => rows);
          assertEquals(rows.map(({ n }) => n), ["0", "1", "0", "3", "0", "5"]);
        }
      } finally {
        clearTimeout(timer);
      }
    }
  },
);
