const UNITS_PER_MS = 10_000;
const MAX_UNITS = 2 ** 31 - 1;
// Each power of two is cut into this many buckets, so a value is known to about 1.5 %.
const BITS = 6;
const STEPS = 1 << BITS;
const BUCKETS = (32 - BITS) * STEPS;

/** A histogram as text: bucket and count alternate, only buckets that have any. */
export type SparseCounts = number[];

/** Latencies from 0.1 us to some minutes, in buckets made beforehand: recording allocates nothing. */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  /** How many latencies it holds. */
  get total(): number {
    return this.#total;
  }

  /** Adds one latency. */
  record(ms: number): void {
    const units = Math.min(MAX_UNITS, Math.max(0, ms * UNITS_PER_MS)) | 0;
    this.#counts[bucketOf(units)]! += 1;
    this.#total++;
  }

  /** Adds another histogram. */
  add(counts: SparseCounts): void {
    for (let i = 0; i < counts.length; i += 2) {
      this.#counts[counts[i]!]! += counts[i + 1]!;
      this.#total += counts[i + 1]!;
    }
  }

  /** The histogram in a form that other processes can read. */
  sparse(): SparseCounts {
    const sparse: SparseCounts = [];
    this.#counts.forEach((count, bucket) => {
      if (count > 0) sparse.push(bucket, count);
    });
    return sparse;
  }

  /** What it holds at the moment. */
  copy(): Histogram {
    return this.since(new Histogram());
  }

  /** What was added since a copy of it was made. */
  since(copy: Histogram): Histogram {
    const added = new Histogram();
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      added.#counts[bucket] = this.#counts[bucket]! - copy.#counts[bucket]!;
    }
    added.#total = this.#total - copy.#total;
    return added;
  }

  /** The latency in milliseconds that a share of all latencies does not exceed; NaN when empty. */
  percentile(share: number): number {
    if (this.#total === 0) return NaN;
    const rank = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!;
      if (seen >= rank) return middleOf(bucket) / UNITS_PER_MS;
    }
    return MAX_UNITS / UNITS_PER_MS;
  }
}

function bucketOf(units: number): number {
  const shift = Math.max(0, 31 - BITS - Math.clz32(units));
  return shift * STEPS + (units >>> shift);
}

function middleOf(bucket: number): number {
  const shift = Math.max(0, (bucket >>> BITS) - 1);
  const low = (bucket - shift * STEPS) * 2 ** shift;
  return low + (2 ** shift - 1) / 2;
}
