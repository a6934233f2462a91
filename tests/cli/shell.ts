import { assert } from "@std/assert";

/** What bash makes of words, in a locale that knows bytes only. */
export async function wordsOf(text: string): Promise<string[]> {
  const { success, stdout } = await new Deno.Command("bash", {
    args: ["-c", `printf '%s\\0' ${text}`],
    env: { LC_ALL: "C" },
  }).output();
  assert(success, "bash refuses the words");
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(stdout).split("\0").slice(0, -1);
}
