import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { execFileSync } from 'node:child_process';
import { nodeBinary } from '../helpers/node-binary.js';
import { judge, table, type Figure } from './figures.js';
import type { Benchmark } from './benchmark.js';
import { write } from './page.js';

/** In the order in which `all` runs them; a name that has no file yet is passed over. */
const ALL = [
  'start', 'throughput', 'busy', 'memory', 'messages', 'reload', 'stop', 'sticky', 'logs', 'dev', 'drain', 'standby', 'adaptive',
  'overload', 'scale', 'simulated', 'peers', 'beside',
];

const folder = path.dirname(fileURLToPath(import.meta.url));
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string' }, beside: { type: 'string' }, node: { type: 'string' }, strict: { type: 'boolean' }, json: { type: 'boolean' },
    page: { type: 'string' },
  },
});
// Node reads it at each start of a process, ours and others' (some 20 ms), which makes every ratio of starts look better.
delete process.env.NODE_EXTRA_CA_CERTS;
// Before what measures is loaded, which asks for it then.
if (values.node) process.env.TEST_NODE = nodeBinary(values.node);
const { bin, node } = await import('../helpers/cluster.js');

const wanted = positionals.length === 0 || positionals.includes('all') ? null : positionals;
const unknown = wanted?.filter((name) => !ALL.includes(name)) ?? [];
if (unknown.length > 0) {
  console.error(`unknown benchmark "${unknown.join('", "')}"; known are ${ALL.join(', ')}, all`);
  process.exit(2);
}
if (!existsSync(bin)) {
  console.error('dist is not built: npm run build');
  process.exit(2);
}

const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
console.error(`node ${version}, ${os.platform()}, ${os.availableParallelism()} cores (${os.cpus()[0]?.model ?? 'unknown'})`);
const figures: Figure[] = [];
for (const name of wanted ?? ALL) {
  const file = path.join(folder, `${name}.ts`);
  if (!existsSync(file)) continue;
  const { default: benchmark } = await import(pathToFileURL(file).href) as { default: Benchmark };
  if (!wanted && benchmark.optional) continue;
  console.error(`\n${name}: ${benchmark.about}`);
  const own = await benchmark.run({
    ...(values.runs === undefined ? {} : { runs: Number(values.runs) }),
    beside: values.beside,
    say: (text) => console.error(`  ${text}`),
  });
  figures.push(...own);
  console.error(`\n${table(own)}\n`);
}
if (values.page) {
  const { versions } = await import('./peers.js');
  write(values.page, { figures, version, benchmarks: wanted ?? ALL, peers: versions() });
}
console.log(values.json ? JSON.stringify(figures) : table(figures));
const missed = figures.filter((figure) => judge(figure).passed === false);
if (missed.length > 0) console.error(`\n${missed.length} over the bar: ${missed.map(({ what }) => what).join('; ')}`);
if (values.strict && missed.length > 0) process.exitCode = 1;
