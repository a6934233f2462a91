/**
 * Two instances of an app on one table, in front of an upstream that fails, hangs, resets connections and
 * recovers. The apps are those of tests/examples.
 *
 * @module
 */

// Not @std/assert: the tests of the npm package use it where no import map is.
import { deepStrictEqual as assertEquals, ok as assert } from "node:assert/strict";
import { FaultyUpstream, type UpstreamMode } from "./faulty_upstream.ts";
import { GuardedFolder } from "./guarded_folder.ts";
import { until } from "./until.ts";

const RESET_TIMEOUT_MS = 1500;
const CALL_TIMEOUT_MS = 1500;
/** No request may hang: what takes longer than this fails the scene. */
const ANSWERS_WITHIN_MS = 10_000;
const STARTS_WITHIN_MS = 30_000;
/** How many requests are under way at once on each instance. */
const AT_ONCE = 3;

/** How to start an app. */
export interface Launch {
  readonly command: readonly string[];
  readonly cwd: string;
}

/** An answer of an app. */
interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A running app. */
class Instance implements AsyncDisposable {
  readonly #folder: GuardedFolder;
  readonly #child: Deno.ChildProcess;
  readonly #drained: Promise<unknown>;
  /** Its connections end with it: a server waits for those that have brought no request yet. */
  #client: Deno.HttpClient | undefined = Deno.createHttpClient({});
  readonly url: string;

  private constructor(
    folder: GuardedFolder,
    child: Deno.ChildProcess,
    url: string,
    drained: Promise<unknown>,
  ) {
    this.#folder = folder;
    this.#child = child;
    this.url = url;
    this.#drained = drained;
  }

  /** Starts an app, and waits until it listens. */
  static async start(
    { command: [program, ...args], cwd }: Launch,
    env: Record<string, string>,
  ): Promise<Instance> {
    const folder = await GuardedFolder.create();
    const child = await folder.spawn(program!, {
      args,
      cwd,
      env: { NO_COLOR: "1", PORT: "0", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    const errors = new Response(child.stderr).text();
    const late = setTimeout(() => void folder.end(), STARTS_WITHIN_MS);
    const { url, rest } = await firstUrl(child.stdout);
    clearTimeout(late);
    if (url !== undefined) return new Instance(folder, child, url, Promise.all([rest, errors]));
    await folder.end();
    throw new Error(`Cannot start app: it does not listen, received ${await errors}`);
  }

  /** Asks it for a path. */
  async ask(path: string): Promise<Answer> {
    const response = await fetch(this.url + path, {
      client: this.#client!,
      signal: AbortSignal.timeout(ANSWERS_WITHIN_MS),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  /** Stops it as an operator does, and checks that it ends by itself. */
  async stop(): Promise<void> {
    this.#disconnect();
    this.#child.kill("SIGTERM");
    assertEquals((await this.#child.status).code, 0, "the app did not end in an orderly way");
    await this.#drained;
    await this.#folder.forget();
  }

  /** Ends it, however it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disconnect();
    await this.#folder.end();
  }

  #disconnect(): void {
    this.#client?.close();
    this.#client = undefined;
  }
}

/** The URL that a program prints, and the reading of what it prints after that. */
async function firstUrl(
  output: ReadableStream<Uint8Array>,
): Promise<{ url: string | undefined; rest: Promise<void> }> {
  const reader = output.getReader();
  const decoder = new TextDecoder();
  let text = "";
  const read = async (isEnough: () => boolean) => {
    while (!isEnough()) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
    }
  };
  // A port is whole only where something follows it.
  const find = () => /(http:\/\/127\.0\.0\.1:\d+)\D/.exec(text)?.[1];
  await read(() => find() !== undefined);
  return { url: find(), rest: read(() => false) };
}

/** Checks an answer of an app whose circuit is open. */
type AssertRefused = (answer: Answer, title: string) => void;

/**
 * Runs the scene. It throws where something is not as it has to be.
 *
 * @param assertRefused What a refusal is; that of this package without it.
 */
export async function twoInstances(
  launch: Launch,
  databaseUrl: string,
  assertRefused: AssertRefused = assertProblem,
): Promise<void> {
  await using upstream = await FaultyUpstream.start();
  const env = {
    DATABASE_URL: databaseUrl,
    UPSTREAM_URL: upstream.url,
    RESET_TIMEOUT_MS: String(RESET_TIMEOUT_MS),
    CALL_TIMEOUT_MS: String(CALL_TIMEOUT_MS),
  };
  await using first = await Instance.start(launch, env);
  await using second = await Instance.start(launch, env);
  const instances = [first, second];
  const outage = (path: string, fault: UpstreamMode, status: number) =>
    playOutage({ upstream, instances, assertRefused, path, fault, status });
  await outage("/payments/1", "fails", 500);
  await outage("/payments/2", "resets", 502);
  await outage("/payments/3", "hangs", 504);
  await outage("/reports/1", "fails", 500);
  for (const instance of instances) await instance.stop();
}

/** An outage of the upstream, and what it is seen with. */
interface Outage {
  readonly upstream: FaultyUpstream;
  readonly instances: readonly Instance[];
  readonly assertRefused: AssertRefused;
  readonly path: string;
  readonly fault: UpstreamMode;
  /** What the app makes of the fault. */
  readonly status: number;
}

/** The upstream has a fault, and recovers. */
async function playOutage(
  { upstream, instances, assertRefused, path, fault, status }: Outage,
): Promise<void> {
  const title = `${path}, upstream ${fault}`;
  const askAll = (times: number) =>
    Promise.all(
      instances.flatMap((each) => Array.from({ length: times }, () => each.ask(path))),
    );
  const received = () => upstream.received.length;
  for (const { status } of await askAll(1)) assertEquals(status, 200, title);

  // Both fail until the circuit opens for both.
  upstream.mode = fault;
  const answers: Answer[] = [];
  await until(async () => {
    const latest = await askAll(AT_ONCE);
    answers.push(...latest);
    return latest.every((answer) => answer.status === 503);
  }, 30_000);
  const statuses = new Set(answers.map((answer) => answer.status));
  assertEquals([...statuses].toSorted(), [status, 503].toSorted(), title);

  // While it is open, the upstream gets nothing: it would hold a request. It gets one when a probe is due.
  upstream.mode = "holds";
  const before = received();
  const asked: Promise<Answer>[] = [];
  const answered: Answer[] = [];
  await until(() => {
    for (const instance of asked.length - answered.length < AT_ONCE ? instances : []) {
      const answer = instance.ask(path);
      asked.push(answer);
      answer.then((answer) => void answered.push(answer), () => {});
    }
    return received() > before;
  }, ANSWERS_WITHIN_MS);

  // The probe is under way. All others are refused.
  await until(() => answered.length === asked.length - 1, ANSWERS_WITHIN_MS);
  for (const answer of [...answered, ...await askAll(AT_ONCE)]) assertRefused(answer, title);
  assertEquals(received() - before, 1, `${title}: probes`);
  upstream.release();
  const { status: probed } = (await Promise.all(asked)).find((each) => each.status !== 503)!;
  assertEquals(probed, 200, title);
  await until(async () => (await askAll(1)).every((answer) => answer.status === 200), 10_000);
}

/** A refusal of this package. */
function assertProblem(answer: Answer, title: string): void {
  const { headers, text } = answer;
  assertInTime(answer, title);
  assertEquals(headers.get("content-type"), "application/problem+json", title);
  assertEquals(headers.get("cache-control"), "no-store", title);
  assertEquals(JSON.parse(text).status, 503, title);
}

/** A refusal of Stoma's policy. */
export function assertRefusedByStoma(answer: Answer, title: string): void {
  assertInTime(answer, title);
  assertEquals(JSON.parse(answer.text).error, "circuit_open", title);
}

function assertInTime({ status, headers, text }: Answer, title: string): void {
  assertEquals(status, 503, `${title}: ${text}`);
  const seconds = Number(headers.get("retry-after"));
  const isInTime = Number.isInteger(seconds) && seconds >= 1 && seconds <= 10;
  assert(isInTime, `${title}: Retry-After ${headers.get("retry-after")}`);
}
