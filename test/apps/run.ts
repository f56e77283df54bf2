import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bin, root } from '../helpers/cluster.js';
import { PROGRAMS } from './programs.js';
import { SERVERS } from './servers.js';
import { STEPS, Trial, type Result } from './trial.js';

/**
 * `npm run apps`: installs applications from the registry, and runs each as its users would. Not in CI, as the registry is not ours.
 * `-- WORD...` only those whose names have one of the words, and no table; `--dir` keeps the installations for the next run.
 */
const { positionals, values } = parseArgs({ allowPositionals: true, options: { dir: { type: 'string' } } });
if (!existsSync(bin)) {
  console.error('dist is not built: npm run build');
  process.exit(2);
}
const wanted = (name: string): boolean => positionals.length === 0
  || positionals.some((word) => name.toLowerCase().includes(word.toLowerCase()));
const all = [...SERVERS, ...PROGRAMS];
const dir = path.resolve(values.dir ?? mkdtempSync(path.join(os.tmpdir(), 'hatchery-apps-')));
mkdirSync(dir, { recursive: true });
// Short, for the sake of the sockets in it.
const home = mkdtempSync(path.join(os.tmpdir(), 'ha-'));

const results: Result[] = [];
for (const [at, app] of all.entries()) {
  if (!wanted(app.name)) continue;
  const result = await new Trial(app, path.join(dir, String(at).padStart(2, '0')), home).run();
  results.push(result);
  const figures = STEPS.map((step) => `${step} ${result.steps[step] ?? '-'}`).join(', ');
  console.log(`${result.failed ? 'FAILED' : 'ok    '} ${result.name} ${result.version}: ${figures}`);
  if (result.failed) console.log(`  at "${result.failed.step}": ${result.failed.why.replaceAll('\n', '\n  ')}`);
}
if (values.dir === undefined) rmSync(dir, { recursive: true, force: true });
rmSync(home, { recursive: true, force: true });

const failed = results.filter((result) => result.failed);
console.log(`${results.length - failed.length} of ${results.length} apps`);
if (positionals.length === 0) writeFileSync(path.join(root, 'docs/apps.md'), page(results));
process.exit(failed.length > 0 ? 1 : 0);

function page(rows: readonly Result[]): string {
  const ms = (value: number | undefined): string => value === undefined ? '-' : String(value);
  const where = `${os.availableParallelism()} processors, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}`;
  const lines = rows.map(({ name, version, steps, failed: fault }) =>
    `| ${name} | ${version} | ${STEPS.map((step) => step === fault?.step ? 'fails' : ms(steps[step])).join(' | ')} |`);
  return `# Published apps

Applications and frameworks as the registry has them: those with a few lines of their own on them, and programs that are started
as they are. \`npm run apps\` installs each, starts it with two workers, asks it, reloads it, asks it again and stops it; then it
is developed: a file of it is saved, and the answer has to be the new one. Nothing in any of them knows of Hatchery.

The figures are milliseconds of one run on a machine that others work on too, so they say that it works, not how fast
(${where}): how long \`start --daemon\` took, the first answer, \`reload\` of both workers, \`stop\`;
until \`dev\` answered, until it answered by the saved code, and until it had ended.

| app | version | ${STEPS.join(' | ')} |
|---|---|${STEPS.map(() => '---').join('|')}|
${lines.join('\n')}
`;
}
