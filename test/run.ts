import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeBinary } from './helpers/node-binary.js';

/**
 * Runs the tests: `npm test` all of them, `npm test -- drain sticky` those whose path has one of the words.
 * `--node 24` lets the product run on another Node.js (fetched from npm); the tests themselves stay on this one.
 */
const here = path.dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const at = args.indexOf('--node');
const version = at < 0 ? undefined : args.splice(at, 2)[1];

const files = ['unit', 'types', 'cli', 'integration'].flatMap((folder) => readdirSync(path.join(here, folder))
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => path.join(here, folder, name)))
  .filter((file) => args.length === 0 || args.some((word) => path.relative(here, file).includes(word)));
if (files.length === 0) {
  console.error(`no test file matches ${args.join(' ')}`);
  process.exit(2);
}

const failures = path.join(mkdtempSync(path.join(os.tmpdir(), 'hatchery-tests-')), 'failed');
const env = { ...process.env, HATCHERY_TEST_FAILURES: failures, ...(version ? { TEST_NODE: nodeBinary(version) } : {}) };

function run(chosen: string[], concurrency: number): Promise<number> {
  const runner = spawn(process.execPath, [
    '--import', 'tsx', '--test', '--test-reporter', process.env.CI ? './test/helpers/terse-reporter.mjs' : 'spec', '--test-reporter-destination', 'stdout',
    '--test-concurrency', String(concurrency), '--test-timeout', '180000', ...chosen,
  ], { stdio: 'inherit', env, cwd: path.dirname(here) });
  return new Promise((resolve) => runner.on('exit', (code) => resolve(code ?? 1)));
}

// Each file starts processes of its own; more at once would only measure how they get in each other's way.
let code = await run(files, 2);
if (code !== 0 && process.env.CI && existsSync(failures)) {
  // CI's machine may be shared. What fails there has to pass alone, and both are in the log.
  const failed = [...new Set(readFileSync(failures, 'utf8').split('\n').filter(Boolean))];
  rmSync(failures);
  console.log(`again, alone: ${failed.map((file) => path.relative(here, file)).join(', ')}`);
  code = await run(failed, 1);
}
rmSync(path.dirname(failures), { recursive: true, force: true });
process.exit(code);
