import { ChildProgram } from "../faults/child_program.ts";
import type { GatewayCommand, GatewayMessage, GatewayReport, GatewaySettings } from "./messages.ts";

/** The test's end of a gateway process. */
export class GatewayProcess extends ChildProgram<GatewaySettings, GatewayCommand, GatewayMessage> {
  /** Starts a gateway, and waits until it has answered a request. */
  static async start(settings: GatewaySettings): Promise<GatewayProcess> {
    const gateway = new GatewayProcess(settings, new URL("./gateway.ts", import.meta.url));
    await gateway.send(settings);
    await gateway.until("ready");
    return gateway;
  }

  /** Uses new keys, and waits until nothing is under way that began before, and for some answers. */
  async phase(phase: string, answers: number): Promise<void> {
    await this.send({ type: "phase", phase, answers });
    await this.until("began", (message) => message.phase === phase);
    if (answers > 0) await this.until("reached", (message) => message.phase === phase);
  }

  /** Has it leave the resting circuits alone. */
  async rest(): Promise<void> {
    await this.send({ type: "rest" });
    await this.until("resting");
  }

  /** Reports to it that the database is back, and waits until its store is: how long that took. */
  async recover(): Promise<number> {
    const from = this.messages.length;
    await this.send({ type: "back" });
    const { afterMs, noiseMs } = await this.until("recovered", () => true, from);
    return afterMs - noiseMs;
  }

  /** Resolves when it answers these states from its cache: in which moment, in epoch milliseconds. */
  async agrees(expected: Record<string, string>): Promise<number> {
    for (let from = 0;; from = this.messages.length) {
      const last = this.all("followed").at(-1);
      const isEqual = last !== undefined &&
        Object.entries(expected).every(([key, state]) => last.states[key] === state);
      if (isEqual) return last.at;
      from = this.messages.length;
      await this.until("followed", () => true, from);
    }
  }

  /** Ends its calls. */
  async quiet(): Promise<void> {
    await this.send({ type: "quiet" });
    await this.until("quiet");
  }

  /** Stops it once its watch has delivered a change of a circuit. */
  async stop(marker: string): Promise<{ report: GatewayReport; code: number; errors: string }> {
    await this.send({ type: "stop", marker });
    const { report } = await this.until("report");
    return { report, ...await this.ended() };
  }
}
