import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

const { imports } = JSON.parse(
  await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
) as { imports: Record<string, string> };

// Not a file, because a check of all files would read it without the compiler option that it is for.
const PROGRAM = `
// @ts-types="${imports["@types/pg"]}"
import type pg from "${imports.pg}";
import type postgres from "${imports.postgres}";
import {
  InMemoryCircuitBreakerStore,
  type ForceOptions,
  type ListOptions,
  type OutageChange,
  type PolicyOnlyOptions,
  PostgresCircuitBreakerStore,
  type PostgresCircuitBreakerStoreOptions,
  type PostgresClient,
  type PruneOptions,
  type WatchOptions,
} from "./mod.ts";
import { type FromNodePostgresOptions, fromNodePostgres } from "./src/adapters/node_postgres.ts";
import { type FromPostgresJsOptions, fromPostgresJs } from "./src/adapters/postgres_js.ts";

/** The interface with undefined allowed for each option: what a caller may have put together. */
type Loose<Options> = { [Name in keyof Options]: Options[Name] | undefined };
declare function loose<Options>(): Loose<Required<Options>>;

export async function fit(client: PostgresClient, pool: pg.Pool, sql: postgres.Sql): Promise<void> {
  const options: PostgresCircuitBreakerStoreOptions =
    loose<PostgresCircuitBreakerStoreOptions>();
  const policy: PolicyOnlyOptions = loose<PolicyOnlyOptions>();
  const list: ListOptions = loose<ListOptions>();
  const force: ForceOptions = loose<ForceOptions>();
  const watch: WatchOptions = loose<WatchOptions>();
  const prune: PruneOptions = { ...loose<PruneOptions>(), idleMs: 1 };
  const nodePostgres: FromNodePostgresOptions = loose<FromNodePostgresOptions>();
  const postgresJs: FromPostgresJsOptions = loose<FromPostgresJsOptions>();
  fromNodePostgres(pool, nodePostgres);
  fromPostgresJs(sql, postgresJs);
  new InMemoryCircuitBreakerStore({ ...options, ...policy });
  const store = new PostgresCircuitBreakerStore(client, undefined, options);
  await store.list(list);
  await store.forceOpen("api", force);
  await store.prune(prune);
  store.watch(watch);
  const bare: PostgresClient = pool;
  void bare;
  // @ts-expect-error The compiler option is on: undefined is not the same as absent.
  const strict: { name?: string } = { name: undefined };
  void strict;
}

export const report = ({ isOut, cause }: OutageChange): string => isOut ? cause.message : "back";

export const canary: number = "the program is checked, and errors in it are seen";
`;

/** The compiler's errors in the program itself, each as its own line; the library has its own rules. */
function errorsOf(output: string): string[] {
  return output.split("\n\n").filter((each) => each.includes("$deno$stdin"))
    .map((each) => each.split("\n", 1)[0]!);
}

Deno.test("every option may be undefined under exactOptionalPropertyTypes", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-lock", "--check", "--config"],
      ...["tests/types/exact_optional.json", "-"],
    ],
    cwd: fileURLToPath(import.meta.resolve("../..")),
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const [{ stderr }] = await Promise.all([
    child.output(),
    ReadableStream.from([new TextEncoder().encode(PROGRAM)]).pipeTo(child.stdin),
  ]);
  assertEquals(errorsOf(new TextDecoder().decode(stderr)), [
    "TS2322 [ERROR]: Type 'string' is not assignable to type 'number'.",
  ]);
});
