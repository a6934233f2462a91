import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, createDatabase } from "./database.ts";
import { GuardedFolder } from "./guarded_folder.ts";
import { startPostgres } from "./postgres_server.ts";

Deno.test("startPostgres gives a server with careless defaults and the settings asked for", async () => {
  await using server = await startPostgres({ settings: { work_mem: "5MB" } });
  await using sql = connect(server.url);
  const [row] = await sql`
    select current_setting('TimeZone') as zone, current_setting('fsync') as fsync,
      current_setting('work_mem') as work_mem, current_setting('listen_addresses') as addresses`;
  assertEquals({ ...row }, {
    zone: "America/St_Johns",
    fsync: "off",
    work_mem: "5MB",
    addresses: "127.0.0.1",
  });
});

Deno.test("restart starts a crashed server again with its port and its data", async () => {
  await using server = await startPostgres();
  const { pid, url } = server;
  {
    await using sql = connect(url);
    await sql`create table survivor as select 1 as one`;
  }
  server.signal("SIGKILL");
  await server.exited;
  await server.restart();
  assert(server.pid !== pid);
  assertEquals(server.url, url);
  await using sql = connect(url);
  assertEquals((await sql`select one from survivor`).length, 1);
});

Deno.test("stop ends the server and removes its files, also when it is stopped twice", async () => {
  await using server = await startPostgres();
  const { port, dataDirectory } = server;
  await Promise.all([server.stop(), server.stop()]);
  assertEquals(await isListening(port), false);
  assertEquals(await exists(dataDirectory), false);
});

Deno.test("startPostgres says what the server logged when it cannot start", async () => {
  await assertRejects(
    () => startPostgres({ settings: { no_such_setting: "1" } }),
    Error,
    "no_such_setting",
  );
});

Deno.test("a server and its files vanish when the process that holds it is killed", async () => {
  await using folder = await GuardedFolder.create();
  // The server's own account has to reach its folder.
  await Deno.chmod(folder.path, 0o755);
  const holder = await folder.spawn(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-lock", import.meta.resolve("./hold_postgres.ts")],
    env: { TMPDIR: folder.path },
    stdin: "null",
    stdout: "piped",
  });
  const { port, dataDirectory } = JSON.parse(await firstLine(holder.stdout));
  assertEquals(await isListening(port), true);

  const changes = Deno.watchFs(folder.path, { recursive: false });
  const path = dataDirectory.slice(0, -"/data".length);
  holder.kill("SIGKILL");
  await holder.status;
  await folder.forget();
  if (await exists(path)) {
    for await (const change of changes) if (change.kind === "remove" && !await exists(path)) break;
  } else changes.close();
  assertEquals(await isListening(port), false);
});

Deno.test("createDatabase makes a database that goes while connections to it are open", async () => {
  const database = await createDatabase();
  await using sql = connect(database.url);
  assertEquals((await sql`select current_database() as name`)[0]?.name, database.name);
  await database[Symbol.asyncDispose]();
  await using admin = connect(Deno.env.get("DATABASE_URL") ?? "");
  const left = await admin`select 1 from pg_database where datname = ${database.name}`;
  assertEquals(left.length, 0);
});

async function isListening(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  await reader.cancel();
  return text;
}
