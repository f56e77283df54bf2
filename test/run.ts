import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeBinary } from './helpers/node-binary.js';
import { Outcome, type TestRecord } from './helpers/outcome.js';
import { refusal } from './helpers/skips.js';

/**
 * Runs the tests of the last build: `npx tsx test/run.ts` all of them, `npx tsx test/run.ts drain sticky` those whose path
 * has one of the words; `npm test -- drain sticky` builds first.
 * `--node 24` lets the product run on another Node.js (fetched from npm). The tests themselves stay on this one, and start
 * the other as `TEST_NODE`; but those of test/node, the probes, ask what their own process can do, so they run in the other
 * Node: `npx tsx test/run.ts node/ --node 26`.
 */
const here = path.dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const at = words.indexOf('--node');
const version = at < 0 ? undefined : words.splice(at, 2)[1];
const ci = Boolean(process.env.CI);
const node = version ? nodeBinary(version) : process.execPath;

const all = ['node', 'unit', 'types', 'cli', 'integration'].filter((folder) => existsSync(path.join(here, folder)))
  .flatMap((folder) => readdirSync(path.join(here, folder))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => path.join(here, folder, name)));
const relative = (file: string): string => path.relative(here, file);
const unknown = words.filter((word) => !all.some((file) => relative(file).includes(word)));
if (unknown.length > 0) {
  console.error(`no test file matches ${unknown.join(', ')}`);
  process.exit(2);
}
const files = all.filter((file) => words.length === 0 || words.some((word) => relative(file).includes(word)));

const dir = mkdtempSync(path.join(os.tmpdir(), 'hatchery-tests-'));
const isProbe = (file: string): boolean => relative(file).startsWith(`node${path.sep}`);

async function run(chosen: string[], concurrency: number): Promise<TestRecord[]> {
  const groups = [[node, chosen.filter(isProbe)], [process.execPath, chosen.filter((file) => !isProbe(file))]] as const;
  const records: TestRecord[] = [];
  for (const [binary, group] of groups) if (group.length > 0) records.push(...await runIn(binary, group, concurrency));
  return records;
}

function runIn(binary: string, group: readonly string[], concurrency: number): Promise<TestRecord[]> {
  const told = path.join(dir, 'told');
  rmSync(told, { force: true });
  const runner = spawn(binary, [
    '--import', 'tsx', '--test',
    '--test-reporter', ci ? './test/helpers/terse-reporter.mjs' : 'spec', '--test-reporter-destination', 'stdout',
    '--test-reporter', './test/helpers/record-reporter.mjs', '--test-reporter-destination', told,
    '--test-concurrency', String(concurrency), '--test-timeout', '180000', ...group,
  ], { stdio: 'inherit', env: { ...process.env, ...(version ? { TEST_NODE: node } : {}) }, cwd: path.dirname(here) });
  return new Promise((resolve) => runner.on('exit', (code, signal) => {
    const lines = existsSync(told) ? readFileSync(told, 'utf8').split('\n').filter(Boolean) : [];
    const records = lines.map((line) => JSON.parse(line) as TestRecord);
    // It ended badly and names no test for it.
    const silent = code !== 0 && !records.some(({ result }) => result === 'fail');
    resolve(silent ? [...records, { file: '', name: `the test runner ended with ${signal ?? code}`, result: 'fail' }] : records);
  }));
}

// Each file starts processes of its own; more at once would only measure how they get in each other's way.
const outcome = new Outcome();
outcome.add(await run(files, 2));
const failed = outcome.failed.filter(Boolean);
if (failed.length > 0 && ci) {
  // CI's machine may be shared. What fails there has to pass alone, and both are in the log.
  console.log(`again, alone: ${failed.map(relative).join(', ')}`);
  outcome.forget(failed);
  outcome.add(await run(failed, 1));
}
rmSync(dir, { recursive: true, force: true });

let refused = false;
for (const [reason, names] of outcome.skips) {
  const why = refusal(reason, ci);
  refused ||= why !== undefined;
  console.log(`${names.length} skipped: ${String(reason)}${why ? `: ${why}, so this run has failed` : ''}`);
  for (const name of names) console.log(`  ${name}`);
}
console.log(outcome.lines().join('\n'));
process.exit(outcome.count('fail') > 0 || refused ? 1 : 0);
