/** How one test ended. */
export interface TestRecord {
  file: string;
  name: string;
  result: 'pass' | 'fail' | 'skipped' | 'todo';
  /** Of a skip: what its test says. */
  reason?: unknown;
}

/** What a whole run has come to. */
export class Outcome {
  readonly #started = performance.now();
  #records: TestRecord[] = [];

  add(records: readonly TestRecord[]): void {
    this.#records.push(...records);
  }

  get failed(): string[] {
    return [...new Set(this.#records.filter(({ result }) => result === 'fail').map(({ file }) => file))];
  }

  /** Forgets what these files have told: they run again. */
  forget(files: readonly string[]): void {
    this.#records = this.#records.filter(({ file }) => !files.includes(file));
  }

  /** The names of the tests that were skipped, by reason. */
  get skips(): Map<unknown, string[]> {
    const skips = new Map<unknown, string[]>();
    for (const { name, result, reason } of this.#records) {
      if (result === 'skipped') skips.set(reason, [...skips.get(reason) ?? [], name]);
    }
    return skips;
  }

  count(result: TestRecord['result']): number {
    return this.#records.filter((record) => record.result === result).length;
  }

  /** As node:test itself sums up. */
  lines(): string[] {
    const sums = {
      tests: this.#records.length, suites: 0, pass: this.count('pass'), fail: this.count('fail'), cancelled: 0,
      skipped: this.count('skipped'), todo: this.count('todo'), duration_ms: Math.round(performance.now() - this.#started),
    };
    return Object.entries(sums).map(([name, count]) => `# ${name} ${count}`);
  }
}
