import type { PostgresClient } from "../../mod.ts";
import type { MeasuredCalls } from "../faults/measured_calls.ts";
import type { Acknowledged, Act } from "./messages.ts";

/**
 * Distinguishes what the database acknowledged from what the store answered from memory: during an outage, and
 * for a call that meets one. A call was answered by the database where the store knew of no outage, and
 * no statement of the process failed or was given up meanwhile.
 */
export class Acts {
  readonly acknowledged: Acknowledged[] = [];
  unknown = 0;
  #failedStatements = 0;
  readonly #calls: MeasuredCalls;
  readonly #timeoutMs: number;

  constructor(calls: MeasuredCalls, timeoutMs: number) {
    this.#calls = calls;
    this.#timeoutMs = timeoutMs;
  }

  /** The same client, of which every failure is noted here. */
  through(client: PostgresClient): PostgresClient {
    const query = client.query.bind(client);
    return Object.assign(Object.create(client), {
      query: async (text: string, params?: unknown[]) => {
        try {
          return await query(text, params);
        } catch (error) {
          this.#failedStatements++;
          throw error;
        }
      },
    });
  }

  /** Makes a call, and says whether the database answered it. */
  async ask<Answer>(call: () => Promise<Answer>): Promise<{ answer: Answer; isCertain: boolean }> {
    const { isOut, outages } = this.#calls;
    const failed = this.#failedStatements;
    const start = performance.now();
    const answer = await call();
    const isCertain = !isOut && outages === this.#calls.outages &&
      failed === this.#failedStatements && performance.now() - start < this.#timeoutMs;
    return { answer, isCertain };
  }

  /** Notes an act that the database answered, or that may have been answered from memory. */
  note(act: Act, key: string, isCertain: boolean): void {
    if (isCertain) this.acknowledged.push({ act, key, phase: this.#calls.phase });
    else this.unknown++;
  }
}
