import { ChildProgram } from "./child_program.ts";
import type { LoadCommand, LoadMessage, LoadReport, LoadSettings, Weight } from "./messages.ts";

/** The test's end of a load process. */
export class LoadProcess extends ChildProgram<LoadSettings, LoadCommand, LoadMessage> {
  /** Starts a load and waits until it has called its database. */
  static async start(settings: LoadSettings): Promise<LoadProcess> {
    const load = new LoadProcess(settings, new URL("./load.ts", import.meta.url));
    await load.send(settings);
    await load.until("ready");
    return load;
  }

  /** Counts under new keys, and waits until nothing is under way that began before. */
  async begin(phase: string): Promise<void> {
    await this.send({ type: "phase", phase, answers: 0 });
    await this.until("began", (message) => message.phase === phase);
  }

  /** Counts under new keys, and waits until `answers` calls were answered. */
  async phase(phase: string, answers: number): Promise<void> {
    await this.send({ type: "phase", phase, answers });
    await this.until("reached", (message) => message.phase === phase);
  }

  /** Reports to it that the database is back, and waits until its store is: how long that took. */
  async recover(): Promise<Extract<LoadMessage, { type: "recovered" }>> {
    const from = this.messages.length;
    await this.send({ type: "back" });
    return await this.until("recovered", () => true, from);
  }

  /** What it holds at the moment. */
  async weigh(): Promise<Weight> {
    const from = this.messages.length;
    await this.send({ type: "weigh" });
    return (await this.until("weight", () => true, from)).weight;
  }

  /** Stops it: its report, and how it ended. */
  async stop(): Promise<{ report: LoadReport; code: number; errors: string }> {
    await this.send({ type: "stop" });
    const { report } = await this.until("report");
    return { report, ...await this.ended() };
  }
}
