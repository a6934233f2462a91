import { assertEquals } from "@std/assert";
import { PROGRAM, runPiped } from "./program.ts";
import { runCommand } from "./stage.ts";

const env = { DATABASE_URL: "postgres://user:hunter2@127.0.0.1:1/app" };

/** Runs a command in a folder of its own, whose driver `pg` is a module with this text. */
async function listIn(driver: string | undefined) {
  const folder = await Deno.makeTempDir();
  try {
    if (driver !== undefined) {
      await Deno.mkdir(`${folder}/node_modules/pg`, { recursive: true });
      await Deno.writeTextFile(`${folder}/node_modules/pg/index.js`, driver);
    }
    const inFolder = ["bash", "-c", 'cd "$1" && shift && exec "$@"', "bash", folder];
    const { code, out, err } = await runPiped(
      [...inFolder, ...PROGRAM, "list", "--driver", "pg"],
      env,
    );
    return { code, out, message: err.split("\n")[0] };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a driver that is wanted and not installed is named, with how to install it", async () => {
  assertEquals(await listIn(undefined), {
    code: 2,
    out: "",
    message: 'Cannot connect: the driver "pg" is not installed in this folder, run deno add npm:pg',
  });
});

Deno.test("a driver that does not load is named, and nothing of its error is shown", async () => {
  assertEquals(await listIn("throw new Error('no connection for hunter2');"), {
    code: 2,
    out: "",
    message: 'Cannot connect: the driver "pg" that is installed in this folder does not load',
  });
});

Deno.test("a password that is not percent-encoded well is shown neither", async () => {
  const url = "postgres://user:hunter2%zz@127.0.0.1:1/app";
  const { code, out, err } = await runCommand(["list"], { env: { DATABASE_URL: url } });
  assertEquals([code === 2 || code === 3, out], [true, ""], err);
  assertEquals(err.includes("hunter2"), false, err);
});
