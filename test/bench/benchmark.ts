import type { Figure } from './figures.js';

export interface BenchOptions {
  /** Rounds of each measurement; every contender has its turn in each. Undefined: the benchmark's own number. */
  runs?: number;
  /** Another checkout, built, to be measured beside this one. */
  beside?: string;
  /** Progress for the one who waits. */
  say(text: string): void;
}

/** A file of this folder whose default export is one of these can be run by its name: `npm run bench -- start`. */
export interface Benchmark {
  /** One line: what is measured, and how. */
  about: string;
  /** Not run by `all`. */
  optional?: boolean;
  run(options: BenchOptions): Promise<Figure[]>;
}

/** Runs every contender once a round, in turns, after a first round, the `warm` one, that does not count (disk and compile caches). */
export async function interleave<Name extends string, Sample>(
  rounds: number, contenders: Record<Name, (warm: boolean) => Promise<Sample>>,
): Promise<Record<Name, Sample[]>> {
  const names = Object.keys(contenders) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Sample[]>;
  for (const name of names) await contenders[name](true);
  for (let round = 0; round < rounds; round++) {
    // Every other round backwards, so that nobody always comes after the same one.
    for (const name of round % 2 ? names.toReversed() : names) samples[name].push(await contenders[name](false));
  }
  return samples;
}
