import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { MOST_WORKERS } from '../../lib/config/schema.js';
import { node } from '../helpers/cluster.js';

const library = path.resolve('dist/lib/index.js');
const cli = path.resolve('dist/bin/index.js');

/** What is called by mistake, and the one line that says so. */
const MISTAKES: Record<string, string> = {
  'new h.Bootstrap()': 'Bootstrap: expected what loadConfig returns, found nothing',
  'new h.Bootstrap({ port: 8080 })': 'Bootstrap: expected what loadConfig returns, found {"port":8080}',
  'h.startCluster(42)': 'startCluster: expected an object of options, found 42',
  'h.startCluster("server.js")': 'startCluster: expected an object of options, found "server.js"',
  'h.startCluster(null)': 'startCluster: expected an object of options, found null',
  'h.startCluster({ target: 42 })': 'loadConfig: expected a file path as target, found 42',
  'h.startCluster({ workers: "x" })':
    `options: workers: expected a whole number from 1 to ${MOST_WORKERS}, "auto" or { min, max, quiet }, found "x"`,
  'h.startCluster({ target: "/no/such/app" })': '/no/such/app: no such directory or file',
  'h.startCluster({}, 42)': 'startCluster: expected an object as its second argument, found 42',
  'h.startCluster({ command: "stat" })': 'loadConfig: expected "start" or "dev" as command, found "stat"',
  'h.startCluster({}, { ownProcess: false })':
    'startCluster: unknown option "ownProcess" in the second argument, did you mean "ownsProcess"?',
  'h.startCluster({}, { hookTimeout: "1s" })':
    'startCluster: expected milliseconds from 0 to 2147483647 as hookTimeout, found "1s"',
  'h.loadConfig({ target: "a\\0b" })': 'loadConfig: expected a file path as target, found "a\\u0000b"',
  'h.loadConfig({ cwd: 42 })': 'loadConfig: expected a file path as cwd, found 42',
  'h.loadConfig({ flags: { profile: 1 } })': 'loadConfig: expected a text as flags.profile, found 1',
  'h.loadConfig("app")': 'loadConfig: expected an object, found "app"',
  'h.defineConfig()': 'defineConfig: expected an object of keys, or a function, found nothing',
  'h.definePlugin()': 'definePlugin: expected an object with `name` and `apply`, found nothing',
  'h.definePlugin({ name: "mine" })': 'definePlugin: expected an object with `name` and `apply`, found {"name":"mine"}',
  'h.definePlugin({ name: "mine", apply() {}, engine: {} })':
    'definePlugin: plugin "mine" has an unknown key "engine", did you mean "engines"?',
  'new (class P extends cli.Program { constructor() { super([]); this.add("mine", class Foo {}); } })()':
    'add("mine"): expected a class that extends Command of hatchery/cli, found class Foo',
  'new cli.Program([]).alias("a", "b")': 'alias("a"): there is no command "b"',
  'new cli.StartCommand("start")': 'StartCommand: expected a list of words, found "start"',
};

const run = (args: string[]): Promise<{ code: number; stderr: string }> => new Promise((resolve) => {
  execFile(node, args, { timeout: 20_000 }, (error, _, stderr) => resolve({ code: error ? Number(error.code) : 0, stderr }));
});

/** Every way to call it: Node tells where an error comes from, and that is to be the line with the mistake. */
const callers = (dir: string): Record<string, (mistake: string) => string[]> => ({
  'node -e': (mistake) => ['-e', `Promise.all([import('${library}'), import('${cli}')]).then(([h, cli]) => ${mistake})`],
  'a script': (mistake) => {
    const file = path.join(dir, 'mistake.mjs');
    writeFileSync(file, `import * as h from '${library}';\nimport * as cli from '${cli}';\nvoid cli;\nawait ${mistake};\n`);
    return [file];
  },
});

test('a call by mistake ends with one line and shows nothing of our bundle', { timeout: 120_000 }, async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-mistakes-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const [caller, args] of Object.entries(callers(dir))) {
    for (const [mistake, line] of Object.entries(MISTAKES)) {
      const { code, stderr } = await run(args(mistake));
      assert.equal(code, 1, `${caller}: ${mistake}\n${stderr}`);
      const told = stderr.split('\n').find((text) => /^\[?ClusterError: /.test(text))?.replace(/^\[?ClusterError: |\] \{$/g, '');
      assert.equal(told, line, `${caller}: ${mistake}`);
      assert.match(stderr, /code: 'ERR_CLUSTER_(?:USAGE|CONFIG|APP_NOT_FOUND)'/);
      assert.ok(stderr.length < 2_000, `${caller}: ${mistake}: ${stderr.length} characters`);
      assert.doesNotMatch(stderr, /core\.cjs/, `${caller}: ${mistake}`);
    }
  }
});
