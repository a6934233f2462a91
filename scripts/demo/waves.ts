import type { Answer, GatewayProcess } from "./gateway_process.ts";
import type { Timeline } from "./timeline.ts";
import type { Upstream } from "./upstream.ts";

/** What requests pass through, and where it is printed. */
export interface Traffic {
  timeline: Timeline;
  upstream: Upstream;
  gateways: readonly GatewayProcess[];
}

/** One gateway's answers to a wave of requests. */
export interface Wave {
  gateway: GatewayProcess;
  answers: Answer[];
}

/** Sends as many requests to every gateway: through one after the other, through all at once. */
export async function sendToAll(traffic: Traffic, requests: number): Promise<Wave[]> {
  const waves = await Promise.all(
    traffic.gateways.map((gateway) => send(gateway, requests)),
  );
  report(traffic, waves);
  return waves;
}

/** Sends requests through one gateway, one after the other. */
export async function send(gateway: GatewayProcess, requests: number): Promise<Wave> {
  const answers: Answer[] = [];
  while (answers.length < requests) answers.push(await gateway.request());
  return { gateway, answers };
}

/** Prints what became of requests. */
export function report(
  { timeline, upstream }: Omit<Traffic, "gateways">,
  waves: readonly Wave[],
): void {
  for (const { gateway, answers } of waves) timeline.event(gateway.name, summary(answers));
  timeline.event("upstream", `has received ${upstream.received} requests`);
}

/** Whether a closed circuit let a request through, and it succeeded. */
export function isServed({ status, state }: Answer): boolean {
  return status === 200 && state === "closed";
}

/** Whether a request was refused, with a Retry-After of at most `longest` seconds. */
export function isRefused({ status, retryAfter = NaN }: Answer, longest: number): boolean {
  return status === 503 && retryAfter >= 1 && retryAfter <= longest;
}

/** The values of Retry-After, each once. */
export function retryAfters(answers: readonly Answer[]): string {
  return [...new Set(answers.map(({ retryAfter }) => retryAfter ?? "none"))].join(", ");
}

/** Counts answers by gateway and status. */
export function statuses(waves: readonly Wave[]): string {
  return waves.map(({ gateway, answers }) => `${gateway.name} ${summary(answers)}`).join(", ");
}

/** Counts answers by status: "500 x5, 503 x5". */
export function summary(answers: readonly Answer[]): string {
  const counts = new Map<number, number>();
  for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${status} x${count}`).join(", ");
}
