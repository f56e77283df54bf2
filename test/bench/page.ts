import { writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { median, type Figure } from './figures.js';

interface Run { figures: readonly Figure[]; version: string; benchmarks: readonly string[]; peers: readonly string[] }

const number = (samples: readonly number[], { digits = 0, unit }: Figure): string => {
  const known = samples.filter((sample) => !Number.isNaN(sample));
  if (known.length === 0) return 'never';
  return `${median(known).toFixed(digits)} ${unit}`.trim();
};

/** A row for each thing that was measured, a column for each who was; the figures of one row were taken in turns. */
function table(figures: readonly Figure[]): string {
  const names = [...new Set(figures.flatMap(({ theirs }) => theirs ? [theirs.name] : []))];
  const rows = new Map<string, Figure[]>();
  for (const figure of figures) rows.set(figure.what, [...rows.get(figure.what) ?? [], figure]);
  const lines = [...rows].map(([what, row]) => {
    const cells = names.map((name) => {
      const one = row.find(({ theirs }) => theirs?.name === name);
      return one?.theirs ? number(one.theirs.samples, one) : '';
    });
    return [what, number(row[0]!.ours, row[0]!), ...cells];
  });
  const head = ['', 'Hatchery', ...names];
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The page of docs that shows a run, and beside it, as JSON, every sample of it. */
export function write(file: string, { figures, version, benchmarks, peers }: Run): void {
  const [processor] = os.cpus();
  const machine = {
    date: new Date().toISOString().slice(0, 10), node: version, system: `${os.type()} ${os.release()}`,
    processor: `${os.availableParallelism()} x ${processor?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
  };
  const raw = file.replace(/\.md$/, '.json');
  const name = path.basename(raw);
  const major = /\d+/.exec(version)?.[0];
  const samples = Math.max(...figures.map(({ ours }) => ours.length));
  writeFileSync(raw, `${JSON.stringify({ ...machine, peers, figures }, null, 1)}\n`);
  writeFileSync(file, `# Beside others

Written by \`npm run bench -- ${benchmarks.join(' ')} --node ${major} --page ${path.relative(process.cwd(), file)}\` on ${machine.date};
each sample is in
[${name}](${name}). ${machine.processor}, ${machine.memory}, ${machine.system}, Node ${version};
${peers.join(', ')}. Medians of ${samples} rounds, in which each had its turn.

${table(figures)}

All serve the same answer of \`node:http\` (fixtures/bench/peers) with two workers, \`NODE_ENV=production\`, started as their
own documentation shows it, logs of requests off. Clients are on the same cores and ask without a pause where answers a second are
measured, and with one of 5 ms where losses are counted. A worker ends itself with \`process.exit(1)\`, as that is an end for a thread of
Watt as well as for a process. New code takes over by \`framework reload\`, \`pm2 reload\`, \`wattpm restart\`; who has no such command is
stopped and started again. "never": within 10 s, or not at all.
`);
}
