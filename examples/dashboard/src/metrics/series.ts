/** The last values of something, one a second. Its arrays are what uPlot wants. */
export class Series {
  readonly #length: number;
  #values: (number | null)[];

  constructor(length: number) {
    this.#length = length;
    this.#values = Array.from({ length }, () => null);
  }

  push(value: number | null): void {
    this.#values = [...this.#values.slice(1), value];
  }

  /** Seconds before now, and values. */
  data(): [number[], (number | null)[]] {
    return [Array.from({ length: this.#length }, (_, n) => n - this.#length + 1), this.#values];
  }
}
