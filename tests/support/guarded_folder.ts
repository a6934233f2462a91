/**
 * A temporary folder, and a process running in it, that vanish together with the process that holds
 * them, however it ends.
 *
 * A small shell waits at the end of a pipe. The pipe closes when the holder closes it or dies, also
 * on `kill -9`, which no handler inside the holder could see. Then the shell ends what runs in the
 * folder and removes it. An orderly stop takes the same path, so every run proves it.
 *
 * @module
 */

// The holder writes a line before and after each process it starts: "starting", its pid, "none".
// Between the first two only postmaster.pid knows it. A pid that ended is never signalled, since
// the system may have given it to another process.
const SCRIPT = `
trap '' HUP INT TERM
signal=$1
offspring=$2
folder=$(mktemp -d "\${TMPDIR:-/tmp}/circuit_breaker_XXXXXXXX") || exit 1
echo "$folder"
pid=none
while read -r line; do pid=$line; done

lock=$folder/data/postmaster.pid
if [ "$pid" = starting ]; then
  for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s "$lock" ] && break; sleep 0.1; done
  pid=$(sed -n 1p "$lock" 2>/dev/null)
fi
segment=$(sed -n 7p "$lock" 2>/dev/null)
case $pid in
  '' | *[!0-9]*) ;;
  *)
    # The process leads a group of its own. A stopped one has to be woken to be ended.
    kill -s "$signal" -- "-$pid" 2>/dev/null; kill -s CONT -- "-$pid" 2>/dev/null
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 250 ]; do
      tries=$((tries + 1)); sleep 0.02
    done
    kill -s KILL -- "-$pid" 2>/dev/null
    ;;
esac
# What works in the folder without being in the group, as a server does that Patroni started.
tries=0
while [ "$offspring" = all ] && [ "$tries" -lt 250 ]; do
  pids=$(
    find /proc -mindepth 2 -maxdepth 2 -name cwd \\( -lname "$folder" -o -lname "$folder/*" \\) \
      2>/dev/null | sed 's|^/proc/||; s|/cwd$||'
  )
  [ -n "$pids" ] || break
  [ "$tries" -lt 40 ] || signal=KILL
  kill -s "$signal" $pids 2>/dev/null; kill -s CONT $pids 2>/dev/null
  tries=$((tries + 1)); sleep 0.05
done
# A killed server leaves its shared memory segment behind, which its lock file names.
segment=\${segment##* }
[ -n "$segment" ] && ipcrm -m "$segment" 2>/dev/null
tries=0
while ! rm -rf "$folder" 2>/dev/null && [ "$tries" -lt 50 ]; do
  tries=$((tries + 1)); sleep 0.1
done
[ ! -e "$folder" ]
`;

/** A temporary folder and the one process at a time that runs in it. */
export class GuardedFolder implements AsyncDisposable {
  /** The folder's path. */
  readonly path: string;
  readonly #guardian: Deno.ChildProcess;
  readonly #line: WritableStreamDefaultWriter<Uint8Array>;
  #ended: Promise<void> | undefined;

  private constructor(
    path: string,
    guardian: Deno.ChildProcess,
    line: WritableStreamDefaultWriter<Uint8Array>,
  ) {
    this.path = path;
    this.#guardian = guardian;
    this.#line = line;
  }

  /**
   * Makes the folder, with its guardian, which ends what runs in it with a signal.
   *
   * @param offspring Whether it ends the process with its group, or all processes that work in the
   * folder, also those that left the group. Only Linux shows them.
   */
  static async create(
    signal: "TERM" | "QUIT" = "TERM",
    offspring: "group" | "all" = "group",
  ): Promise<GuardedFolder> {
    // Detached, so that a Ctrl-C in the terminal reaches the holder and not its guardian.
    const guardian = new Deno.Command("sh", {
      args: ["-c", SCRIPT, "circuit_breaker_guardian", signal, offspring],
      cwd: "/",
      detached: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const line = guardian.stdin.getWriter();
    const path = await firstLine(guardian.stdout);
    if (path === "") throw new Error("Cannot make a temporary folder: mktemp failed");
    return new GuardedFolder(path, guardian, line);
  }

  /**
   * Starts a process of which the guardian knows, at the head of a group of its own: a Ctrl-C in the
   * terminal does not reach it. It has to end before the next one starts.
   */
  async spawn(program: string, options: Deno.CommandOptions): Promise<Deno.ChildProcess> {
    await this.#write("starting");
    const child = new Deno.Command(program, { ...options, detached: true }).spawn();
    await this.#write(String(child.pid));
    return child;
  }

  /** Reports to the guardian that the process has ended. */
  async forget(): Promise<void> {
    if (this.#ended === undefined) await this.#write("none");
  }

  async #write(line: string): Promise<void> {
    await this.#line.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Ends the process and removes the folder. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    await this.#line.close();
    const { success } = await this.#guardian.status;
    if (!success) throw new Error(`Cannot remove a temporary folder: it is still at ${this.path}`);
  }

  /** Does what {@linkcode GuardedFolder.end} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (
    const chunk of stream.pipeThrough(
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
    )
  ) {
    text += chunk;
    if (text.includes("\n")) break;
  }
  return text.split("\n", 1)[0] ?? "";
}
