/** A line: when, and how much. What uPlot wants. */
export type Line = readonly [readonly number[], readonly (number | null)[]];

export const NO_LINE: Line = [[], []];

/** The last values of something, one a second, with the seconds before now. */
export class Recent {
  readonly #times: number[];
  #values: (number | null)[];

  constructor(length: number) {
    this.#times = Array.from({ length }, (_, n) => n - length + 1);
    this.#values = this.#times.map(() => null);
  }

  push(value: number | null): void {
    this.#values = [...this.#values.slice(1), value];
  }

  line(): Line {
    return [this.#times, this.#values];
  }
}

/** What is known at one second of a job. */
export interface Sample {
  readonly matched: number;
  readonly speed: number;
  readonly open: number;
}

/** The course of a job, second by second since it began. */
export class Course {
  readonly #times: number[] = [];
  readonly #samples: Sample[] = [];

  /** Takes a sample; of those of one second the last counts. */
  add(elapsedMs: number, sample: Sample): void {
    const second = Math.round(elapsedMs / 1_000);
    const last = this.#times.at(-1);
    if (last === undefined || second > last) {
      this.#times.push(second);
      this.#samples.push(sample);
    } else if (second === last) this.#samples[this.#samples.length - 1] = sample;
  }

  get last(): Sample | undefined {
    return this.#samples.at(-1);
  }

  line(of: keyof Sample): Line {
    return [[...this.#times], this.#samples.map((s) => s[of])];
  }
}
