import { assertEquals } from "@std/assert";
import { GuardedFolder } from "./guarded_folder.ts";
import { until } from "./until.ts";

/** Starts a process that starts another one in a session of its own, and returns that one's id. */
async function startWithOffspring(folder: GuardedFolder): Promise<number> {
  const script = "setsid sh -c 'trap \"\" QUIT; echo $$ >pid; while :; do sleep 1; done' & wait";
  await folder.spawn("sh", { args: ["-c", script], cwd: folder.path, stdout: "null" });
  const path = `${folder.path}/pid`;
  const read = () => Deno.readTextFile(path).catch(() => "");
  await until(async () => (await read()).endsWith("\n"), 10_000);
  return Number(await read());
}

function isRunning(pid: number): Promise<boolean> {
  // One that ended and has not been waited for yet works nowhere.
  return Deno.readLink(`/proc/${pid}/cwd`).then(() => true, () => false);
}

Deno.test({
  name: "GuardedFolder ends processes that left the group of theirs, where it is asked to",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await GuardedFolder.create("QUIT", "all");
    const pid = await startWithOffspring(folder);
    assertEquals(await isRunning(pid), true);
    await folder.end();
    assertEquals(await isRunning(pid), false);
  },
});
