const GREEN = 32;
const RED = 31;
const BOLD = 1;
const PART_WIDTH = 11;

/** Prints what happens when, and remembers whether what it claims was true. */
export class Timeline {
  readonly #started = performance.now();
  readonly #coloured = Deno.stdout.isTerminal() && !Deno.noColor;
  readonly #refuted: string[] = [];
  #claims = 0;

  /** Prints a heading. */
  heading(text: string): void {
    console.log(`\n${this.#paint(BOLD, text)}`);
  }

  /** Prints what a part of the demo did, with the time since the start. */
  event(part: string, what: string): void {
    console.log(`${this.#time()}  ${part.padEnd(PART_WIDTH)}${what}`);
  }

  /** Prints a claim and whether it held; `otherwise` says what happened instead. */
  claim(held: boolean, what: string, otherwise: string): void {
    this.#claims++;
    if (held) {
      console.log(`${this.#time()}  ${this.#paint(GREEN, "true".padEnd(PART_WIDTH))}${what}`);
    } else {
      console.log(`${this.#time()}  ${this.#paint(RED, "FALSE".padEnd(PART_WIDTH))}${what}`);
      console.log(`${"".padEnd(9 + PART_WIDTH)}instead: ${otherwise}`);
      this.#refuted.push(`${what} (instead: ${otherwise})`);
    }
  }

  /** How many claims were made. */
  get claims(): number {
    return this.#claims;
  }

  /** The claims that did not hold. */
  get refuted(): readonly string[] {
    return this.#refuted;
  }

  /** Seconds since the start, for people. */
  get elapsed(): string {
    return `${((performance.now() - this.#started) / 1000).toFixed(1)} s`;
  }

  #time(): string {
    return this.elapsed.padStart(7);
  }

  #paint(code: number, text: string): string {
    return this.#coloured ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}
