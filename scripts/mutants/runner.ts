/**
 * The program that holds the tests in one process and runs them against one mutant after another. The
 * sources are instrumented once: a variable says which mutant is active.
 *
 * @module
 */

import fc from "fast-check";
import { lines } from "../demo/lines.ts";
import {
  ANSWER,
  type Answer,
  type Fate,
  type FoundTest,
  type Hits,
  type Question,
  type Start,
} from "./protocol.ts";

/** What the instrumented sources read and write. */
interface Switch {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  mutantCoverage?: { static: Hits; perTest: Record<string, Hits> };
  hitCount?: number;
  hitLimit?: number;
}

type Body = (context: Deno.TestContext) => unknown;

class TimeLimitError extends Error {}

/** A test that takes longer than this is not repeated to see whether it fails without the mutant too. */
const REPEATED_MS = 1_000;

// The first counterexample will do.
fc.configureGlobal({ endOnFailure: true });

const start: Start = JSON.parse(Deno.args[0]!);
const mutants: Switch = {};
if (start.mutant !== undefined) mutants.activeMutant = start.mutant;
Reflect.set(globalThis, "__stryker__", mutants);

const tests: (FoundTest & { readonly body: Body })[] = [];
let file = "";

/** What `Deno.test` takes, in all its forms. */
function collect(...given: unknown[]): void {
  let name = "";
  let body: Body | undefined;
  let isIgnored = false;
  for (const each of given) {
    if (typeof each === "string") name = each;
    else if (typeof each === "function") [body, name] = [each as Body, name || each.name];
    else {
      const options = each as Partial<Deno.TestDefinition>;
      name = options.name ?? name;
      body = options.fn ?? body;
      isIgnored = options.ignore ?? false;
    }
  }
  if (body !== undefined && !isIgnored) tests.push({ name, file, body });
}

/** Receives what fails beside the test that runs. */
let onStray: (reason: unknown) => void = () => {};
for (const kind of ["unhandledrejection", "error"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    const { reason, error } = event as PromiseRejectionEvent & ErrorEvent;
    onStray(reason ?? error);
  });
}

/** Runs a test. Rejects where it fails, where something fails beside it, and after the limit. */
async function run(body: Body, name: string, limitMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const outside = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeLimitError("it takes too long")), limitMs);
    onStray = reject;
  });
  try {
    await Promise.race([inside(body, name), outside]);
  } finally {
    clearTimeout(timer);
    onStray = () => {};
  }
}

async function inside(body: Body, name: string): Promise<void> {
  await body(contextOf(name));
  // What a test leaves unhandled is reported after its end.
  await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Steps run at once, and the first one that fails ends the test. */
function contextOf(name: string, parent?: Deno.TestContext): Deno.TestContext {
  const context = {
    name,
    origin: file,
    parent,
    async step(first: unknown, second?: unknown): Promise<boolean> {
      const options = typeof first === "object" ? first as Deno.TestStepDefinition : undefined;
      if (options?.ignore) return false;
      const body = (second ?? options?.fn ?? first) as Body;
      await body(contextOf(String(options?.name ?? first), context));
      return true;
    },
  } as Deno.TestContext;
  return context;
}

async function failureOf(test: number, limitMs: number): Promise<unknown> {
  try {
    await run(tests[test]!.body, tests[test]!.name, limitMs);
    return undefined;
  } catch (error) {
    return error ?? new Error("something undefined was thrown");
  }
}

async function reach(test: number, limitMs: number): Promise<Answer> {
  const id = String(test + 1);
  mutants.currentTestId = id;
  const begin = performance.now();
  const failure = await failureOf(test, limitMs);
  const ms = performance.now() - begin;
  mutants.currentTestId = undefined;
  return {
    is: "reached",
    hits: mutants.mutantCoverage?.perTest[id] ?? {},
    ms,
    ...failure !== undefined && { why: textOf(failure) },
  };
}

async function meet(
  { mutant, tests, limitsMs, mostHits }: Question & { ask: "meet" },
): Promise<Fate> {
  for (const [place, test] of tests.entries()) {
    answer({ is: "test" });
    mutants.hitCount = 0;
    mutants.hitLimit = mostHits;
    mutants.activeMutant = mutant;
    const begin = performance.now();
    const failure = await failureOf(test, limitsMs[place]!);
    const ms = performance.now() - begin;
    const hits = mutants.hitCount;
    if (start.mutant === undefined) mutants.activeMutant = undefined;
    if (failure === undefined) continue;
    const why = textOf(failure);
    if (failure instanceof TimeLimitError || hits > mostHits) return { is: "timeout", test, why };
    if (start.mutant !== undefined || ms > REPEATED_MS) return { is: "killed", test, why };
    // A mutant may have left something behind that lets this test fail in any case.
    const isClear = await failureOf(test, limitsMs[place]!) === undefined;
    return { is: isClear ? "killed" : "unclear", test, why };
  }
  return { is: "survived" };
}

function textOf(failure: unknown): string {
  return (failure instanceof Error ? `${failure.name}: ${failure.message}` : String(failure))
    .slice(0, 300);
}

function answer(answer: Answer): void {
  const line = new TextEncoder().encode(`${ANSWER}${JSON.stringify(answer)}\n`);
  for (let written = 0; written < line.length;) {
    written += Deno.stdout.writeSync(line.subarray(written));
  }
}

async function load(): Promise<Answer> {
  Reflect.set(Deno, "test", Object.assign(collect, { ignore: () => {}, only: collect }));
  try {
    for (file of start.files) await import(file);
  } catch (error) {
    return { is: "unready", why: textOf(error) };
  }
  return {
    is: "ready",
    tests: tests.map(({ name, file }) => ({ name, file })),
    hits: mutants.mutantCoverage?.static ?? {},
  };
}

answer(await load());

for await (const line of lines(Deno.stdin.readable)) {
  const question: Question = JSON.parse(line);
  if (question.ask === "reach") answer(await reach(question.test, question.limitMs));
  else answer({ is: "fate", fate: await meet(question) });
}
Deno.exit(0);
