/** What a timer can do beyond the web's: Node, Bun and Deno have it, browsers do not. */
interface Holdable {
  ref(): void;
  unref(): void;
}

/**
 * A timer that is wanted most of the time and fires almost never: a deadline. Setting and clearing
 * one for each statement costs more than the rest of a call, so the timer is left running while
 * nobody needs it, does not keep the process alive then, and finds out when it fires.
 */
export class IdleTimer {
  readonly #run: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #holdable: Holdable | undefined;
  #isWanted = false;

  constructor(run: () => void) {
    this.#run = run;
  }

  /** Wants it to fire within so many milliseconds; one that is running already may fire sooner. */
  start(delayMs: number): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.#fire(), delayMs);
      this.#holdable = isHoldable(this.#timer) ? this.#timer : undefined;
    } else {
      this.#holdable?.ref();
    }
  }

  /** Wants nothing for now. */
  rest(): void {
    if (!this.#isWanted) return;
    this.#isWanted = false;
    if (this.#holdable !== undefined) {
      this.#holdable.unref();
    } else {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  #fire(): void {
    this.#timer = undefined;
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.#run();
  }
}

function isHoldable(timer: unknown): timer is Holdable {
  return typeof timer === "object" && timer !== null && "ref" in timer && "unref" in timer;
}
