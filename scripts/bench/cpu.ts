// The kernel reports CPU time to user space in hundredths of a second on every Linux.
const TICKS_PER_SECOND = 100;

/** CPU seconds that a process and all its children, also those that ended, have used so far. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const own = await ticksOf(pid);
  if (own === undefined) return NaN;
  let seconds = (own.self + own.endedChildren) / TICKS_PER_SECOND;
  for (const child of await childrenOf(pid)) seconds += await ownCpuSecondsOf(child) ?? 0;
  return seconds;
}

/**
 * CPU seconds that a process with one thread has used so far, its children not counted. Nanoseconds
 * where the kernel keeps them: many processes that each do little are seen only then.
 */
export async function ownCpuSecondsOf(pid: number): Promise<number | undefined> {
  const precise = await readOrNothing(`/proc/${pid}/schedstat`);
  if (precise !== undefined) return Number(precise.split(" ", 1)[0]) / 1e9;
  const ticks = await ticksOf(pid);
  return ticks && ticks.self / TICKS_PER_SECOND;
}

/** CPU seconds that everything on this machine has used so far; NaN where the system does not report it. */
export async function machineCpuSeconds(): Promise<number> {
  const text = await readOrNothing("/proc/stat") ?? "";
  // user, nice, system, idle, iowait, irq, softirq, steal
  const ticks = text.split("\n", 1)[0]!.split(/ +/).slice(1).map(Number);
  const [user, nice, system, , , irq, softirq, steal] = ticks as (number | undefined)[];
  const busy = [user, nice, system, irq, softirq, steal].map((each) => each ?? NaN);
  return busy.reduce((total, each) => total + each, 0) / TICKS_PER_SECOND;
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readOrNothing(`/proc/${pid}/task/${pid}/children`);
  return text?.split(" ").filter((part) => part.trim() !== "").map(Number) ?? [];
}

async function ticksOf(pid: number): Promise<{ self: number; endedChildren: number } | undefined> {
  const text = await readOrNothing(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name, in parentheses, may contain anything; the fields after it are numbers.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  return { self: field(14) + field(15), endedChildren: field(16) + field(17) };
}

/** A process may end at any time, and other systems have no such files. */
async function readOrNothing(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || isNoSuchProcess(error)) return undefined;
    throw error;
  }
}

function isNoSuchProcess(error: unknown): boolean {
  return error instanceof Error && (error as { code?: string }).code === "ESRCH";
}
