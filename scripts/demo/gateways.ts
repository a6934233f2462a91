import { GatewayProcess } from "./gateway_process.ts";
import type { GatewaySettings } from "./messages.ts";
import type { Timeline } from "./timeline.ts";

/** The gateways of the demo, and the circuit that they share. */
export const GATEWAYS: readonly string[] = ["gateway-1", "gateway-2", "gateway-3"];
export const CIRCUIT = "orders";

/** Gateways, each in a process of its own. Disposal ends them. */
export interface Gateways extends AsyncDisposable {
  readonly all: readonly GatewayProcess[];
}

/** Starts gateways and waits until all of them serve. The signal ends their requests. */
export async function startGateways(
  settings: readonly GatewaySettings[],
  timeline: Timeline,
  signal: AbortSignal,
): Promise<Gateways> {
  await using cleanup = new AsyncDisposableStack();
  const starting = await Promise.allSettled(settings.map(async (each) => {
    const gateway = cleanup.use(
      await GatewayProcess.start(each, signal, (from, to) => {
        timeline.event(each.name, `moves the circuit from ${from} to ${to}`);
      }),
    );
    timeline.event(each.name, `serves at ${gateway.url} in process ${gateway.pid}`);
    return gateway;
  }));
  const all = starting.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
  const kept = cleanup.move();
  return { all, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
