import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
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

const env = { ...process.env, ...(version ? { TEST_NODE: nodeBinary(version) } : {}) };
const runner = spawn(process.execPath, [
  '--import', 'tsx', '--test', '--test-reporter', process.env.CI ? './test/helpers/terse-reporter.mjs' : 'spec', '--test-reporter-destination', 'stdout',
  // Each file starts processes of its own; more at once would only measure how they get in each other's way.
  '--test-concurrency', '2', '--test-timeout', '180000', ...files,
], { stdio: 'inherit', env, cwd: path.dirname(here) });
runner.on('exit', (code) => process.exit(code ?? 1));
