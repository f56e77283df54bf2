/** A figure of ours beside the same figure of somebody else, from samples taken in turns. */
export interface Figure {
  what: string;
  unit: string;
  ours: number[];
  /** Samples of the other one, each taken right beside ours. Without it the figure stands alone. */
  theirs?: { name: string; samples: number[] };
  /**
   * `ratio`: ours / theirs; `difference`: ours - theirs; `value`: ours; `interval`: the interval of the ratio must not lie
   * wholly beyond the limit.
   */
  bar?: { of: 'ratio' | 'difference' | 'value' | 'interval'; most?: number; least?: number };
  digits?: number;
}

export interface Verdict { passed: boolean | null; text: string }

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] as number : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Each pair was measured at nearly the same moment, so a slow minute of the machine is in both. */
const paired = (figure: Figure, combine: (ours: number, theirs: number) => number): number =>
  median(figure.ours.map((value, index) => combine(value, figure.theirs?.samples[index] as number)));

export const ratioOf = (figure: Figure): number | null => figure.theirs ? paired(figure, (ours, theirs) => ours / theirs) : null;

const RESAMPLES = 2_000;

/** 95 % of the medians of samples drawn anew from the pairs (bootstrap); the draws are always the same ones. */
export function intervalOf({ ours, theirs }: Figure): [low: number, high: number] {
  const ratios = ours.map((value, index) => value / (theirs?.samples[index] as number));
  let seed = 1;
  const draw = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return ratios[Math.floor(seed / 2 ** 32 * ratios.length)] as number;
  };
  const medians = Array.from({ length: RESAMPLES }, () => median(ratios.map(draw))).toSorted((a, b) => a - b);
  return [medians[Math.floor(RESAMPLES * 0.025)] as number, medians[Math.floor(RESAMPLES * 0.975)] as number];
}

export function judge(figure: Figure): Verdict {
  const { bar } = figure;
  if (!bar) return { passed: null, text: '' };
  if (bar.of === 'interval') {
    const [low, high] = intervalOf(figure);
    const limit = bar.most ?? bar.least as number;
    return {
      passed: bar.most === undefined ? high >= limit : low <= limit, text: `${low.toFixed(3)}-${high.toFixed(3)}, not beyond ${limit}`,
    };
  }
  const value = bar.of === 'value'
    ? median(figure.ours)
    : paired(figure, (ours, theirs) => bar.of === 'ratio' ? ours / theirs : ours - theirs);
  const limit = bar.most ?? bar.least as number;
  const passed = bar.most === undefined ? value >= limit : value <= limit;
  const name = { ratio: 'ratio', difference: 'difference', value: '' }[bar.of];
  return { passed, text: `${name} ${bar.most === undefined ? '>=' : '<='} ${limit}${bar.of === 'ratio' ? '' : ` ${figure.unit}`}`.trim() };
}

const COLUMNS = ['', 'ours', 'beside', 'ratio', 'bar', ''] as const;

/** One line a figure; medians, and the ratio as the median of the pairs. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { digits = 0, unit, theirs } = figure;
    const number = (samples: number[]) => `${median(samples).toFixed(digits)} ${unit}`;
    const ratio = ratioOf(figure);
    const { passed, text } = judge(figure);
    return [
      figure.what, number(figure.ours), theirs ? `${number(theirs.samples)} ${theirs.name}` : '', ratio === null ? '' : ratio.toFixed(2),
      text, passed === null ? '' : passed ? 'PASS' : 'over',
    ];
  });
  const lines = [COLUMNS as readonly string[], ...rows];
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ').trimEnd()).join('\n');
}
