import { assertEquals } from "@std/assert";

Deno.test("Deadlines keeps a process alive while anything is pending, and not at rest", async () => {
  const module = new URL("../../src/time/deadlines.ts", import.meta.url);
  const program = `
    import { Deadlines } from ${JSON.stringify(module)};
    const deadlines = new Deadlines(100);
    const never = new Promise(() => {});
    const error = await deadlines.race(deadlines.begin(), "read circuit", never).catch((e) => e);
    console.log(error.message);
    const patient = new Deadlines(600_000);
    await patient.race(patient.begin(), "read circuit", Promise.resolve());
    console.log("at rest");`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const { code, stdout } = await child.output();
  assertEquals(
    [code, new TextDecoder().decode(stdout)],
    [0, "Cannot read circuit: no answer in 100 ms\nat rest\n"],
  );
});
