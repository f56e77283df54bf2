import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Sandbox } from './sandbox.js';

/** Each wrong line, and the one line that is said about it. */
const WRONG: [args: string[], says: string][] = [
  [['strat'], 'unknown command "strat", did you mean "start"?'],
  [['app'], 'unknown command "app", did you mean "framework start app"?'],
  [['--prot', '3', 'start', 'app'], '--prot: unknown flag, did you mean "--port"?'],
  [['start', 'app', '--wrokers', '3'], '--wrokers: unknown flag, did you mean "--workers"?'],
  [['start', 'app', '--no-port'], '--no-port: unknown flag, did you mean "--port"?'],
  [['start', 'app', '-x'], '-x: unknown flag; --help lists them'],
  [['start', 'app', '--_', 'x'], '--_: unknown flag; --help lists them'],
  [['start', 'app', '--$0=x'], '--$0: unknown flag; --help lists them'],
  [['start', 'app', '--constructor=1'], '--constructor: unknown flag; --help lists them'],
  [['--__proto__', 'start'], '--__proto__: unknown flag; --help lists them'],
  [['dev', 'app', '--daemon'], '--daemon: unknown flag; --help lists them'],
  [['dev', 'app', '--reload'], '--reload: unknown flag, did you mean "--no-reload"?'],
  [['dev', 'app', '--no-reload=1'], '--no-reload: takes no value, found "1"'],
  [['start', 'app', '--daemon=maybe'], '--daemon: expected true, false or no value, found "maybe"'],
  [['stop', 'app', '--force=x'], '--force: expected true, false or no value, found "x"'],
  [['start', 'app', '--help=x'], '--help: takes no value, found "x"'],
  [['reload', 'app', '--no-agnt'], '--no-agnt: unknown flag, did you mean "--no-agent"?'],
  [['start', 'app', '--no-stiky'], '--no-stiky: unknown flag, did you mean "--no-sticky"?'],
  [['start', 'app', '--stdout', 'x.log'], '--stdout: is for a daemon; add --daemon, or redirect the output in the shell'],
  [['stop', 'app', '--port', '3'], '--port: unknown flag; --help lists them'],
  [['start', 'app', 'more'], 'unexpected "more": framework start [target] [flags] [-- arguments]'],
  [['start', 'app', '--port'], '--port: a value is missing (TCP port, 0 for a free one)'],
  [['start', 'app', '--port', '99999'], '--port: expected a whole number from 0 to 65535, found 99999'],
  [['start', 'app', '--port', 'http'], '--port: expected a whole number from 0 to 65535, found "http"'],
  [['start', 'app', '--workers', 'four'], '--workers: expected a whole number from 1 to 1024, "auto" or a range such as 2-8, found "four"'],
  [['dev', 'app', '-w', '0'], '--workers: expected a whole number from 1 to 1024, "auto" or a range such as 2-8, found 0'],
  [['start', 'app', '-w', '1000000000'],
    '--workers: expected a whole number from 1 to 1024, "auto" or a range such as 2-8, found 1000000000'],
  [['start', 'app', '--log-level', 'loud'], '--log-level: expected one of "debug", "info", "warn", "error", "silent", found "loud"'],
  [['start', 'app', '--log-format', 'xml'], '--log-format: expected one of "text", "json", "short", found "xml"'],
  [['start', 'app', '--start-timeout', 'soon'], '--start-timeout: expected whole milliseconds from 1 up, found "soon"'],
  [['scale', 'app'], 'scale: expected a number from 1 up, +N or -N, found "app"'],
  [['scale', '0', 'app'], 'scale: expected a number from 1 up, +N or -N, found "0"'],
  [['scale'], 'scale: how many workers? framework scale <N|+N|-N> [target] [flags]'],
  [['stop', 'app', '--timeout', 'x'], '--timeout: expected whole milliseconds, found "x"'],
  [['logs', 'app', '-n', '-3'], '--lines: expected a whole number from 0 up, found "-3"'],
];

for (const [args, says] of WRONG) {
  test(`framework ${args.join(' ')}`, async (t) => {
    const sandbox = new Sandbox(t);
    sandbox.app();
    const { code, stdout, stderr } = await sandbox.run(args);
    assert.equal(stderr, `${says}\n`);
    assert.equal(stdout, '');
    assert.equal(code, 2);
  });
}

test('a command that is near to none: those that there are', async (t) => {
  const { code, stderr } = await new Sandbox(t).run(['frobnicate']);
  assert.equal(code, 2);
  assert.match(stderr,
    /^unknown command "frobnicate"; known are start, dev, stop, reload, restart, scale, status, logs, config, hooks.*\n$/);
});

test('help is --help', async (t) => {
  const sandbox = new Sandbox(t);
  for (const [words, same] of [[['help'], ['--help']], [['help', 'start'], ['start', '--help']]] as const) {
    const { code, stdout } = await sandbox.run([...words]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: (await sandbox.run([...same])).stdout });
  }
  assert.match((await sandbox.run(['help', 'strat'])).stderr, /^unknown command "strat", did you mean "start"\?\n$/);
});

test('a missing app', async (t) => {
  const sandbox = new Sandbox(t);
  const { code, stderr } = await sandbox.run(['start', 'nowhere']);
  assert.equal(code, 2);
  assert.match(stderr, /^nowhere: no such directory or file .*\n$/);
});

test('paths in messages are as they were typed, with where they lead', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const wrong: [args: string[], config: object, says: string][] = [
    [['--config', './c.json'], {}, `--config: no such file: ./c.json (${dir}/c.json)`],
    [['-r', '../r.js', '-r', './server.js'], {}, `--require: no such file: ../r.js (${sandbox.dir}/r.js)`],
    [['--agent', 'a.js'], {}, `--agent: no such file: a.js (${dir}/a.js)`],
    [[], { app: 'src/main.js' }, `.clusterrc: app: no such file: src/main.js (${dir}/src/main.js)`],
    [[], { framework: './fw' }, `.clusterrc: framework: no module at ./fw (${dir}/fw)`],
    [[], { plugins: { './plugin.mjs': { limit: 1 } } }, `.clusterrc: plugins["./plugin.mjs"]: no module at ${dir}/plugin.mjs`],
    [[], { plugins: { './p.mjs': 3 } }, '.clusterrc: plugins["./p.mjs"]: expected true, false, an object of options or a plugin, found 3'],
  ];
  for (const [args, config, says] of wrong) {
    writeFileSync(path.join(dir, '.clusterrc'), JSON.stringify(config));
    const { code, stderr } = await sandbox.run(['config', ...args], { cwd: dir });
    assert.deepEqual([code, stderr], [2, `${says}\n`]);
  }
  assert.equal((await sandbox.run(['status', './app'])).stderr, `no instance is running in ./app (${dir})\n`);
});

test('a value that is called like the command is still a value', async (t) => {
  const sandbox = new Sandbox(t);
  sandbox.app();
  for (const args of [['-w', 'start', 'start', 'app'], ['start', '-w', 'start', 'app'], ['--workers=start', 'start', 'app']]) {
    const { code, stderr } = await sandbox.run(args);
    assert.equal(stderr, '--workers: expected a whole number from 1 to 1024, "auto" or a range such as 2-8, found "start"\n');
    assert.equal(code, 2);
  }
});

test('flags before the command, short ones with their values, and the last of several', async (t) => {
  const sandbox = new Sandbox(t);
  sandbox.app();
  const { stdout } = await sandbox.run([
    '--title', 'config', 'config', 'app', '-p3000', '--port=4000', '-w', '3', '-r', './app/server.js', '-r', 'node:fs', '--inspect',
    '--json', '--start-timeout', '5',
  ]);
  const { config, sources } = JSON.parse(stdout) as { config: Record<string, unknown>; sources: Record<string, unknown> };
  assert.deepEqual([config.title, config.port, config.workers, config.inspect, config.startTimeout], ['config', 4000, 3, true, 5]);
  assert.equal((config.require as string[]).length, 2);
  assert.deepEqual(sources.port, { from: 'flag', where: '--port' });
});

test('--inspect does not take the target for its value', async (t) => {
  const sandbox = new Sandbox(t);
  sandbox.app();
  const { stdout } = await sandbox.run(['config', '--inspect', 'app', '--json']);
  assert.equal((JSON.parse(stdout) as { config: { inspect: unknown } }).config.inspect, true);
});

test('--help of every command shows its flags with their defaults, and --version the version', async (t) => {
  const sandbox = new Sandbox(t);
  const help = await sandbox.run(['--help']);
  assert.equal(help.code, 0);
  for (const name of ['start', 'dev', 'stop', 'reload', 'restart', 'scale', 'status', 'logs', 'config', 'hooks']) {
    assert.match(help.stdout, new RegExp(`framework ${name} +\\w`));
    const { code, stdout } = await sandbox.run([name, '--help']);
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^[A-Z].*\\.\\n\\nUsage: framework ${name} `));
    assert.match(stdout, /--title/);
  }
  const start = await sandbox.run(['start', '-h']);
  for (const part of [
    /--port, -p .*default: 7001/, /--workers, -w .*default: auto/, /--daemon, -d/, /--https\.key/, /--start-timeout .*30000/,
  ]) assert.match(start.stdout, part);
  assert.match((await sandbox.run(['dev', '--help'])).stdout, /--no-reload/);
  for (const args of [['--version'], ['start', '--version'], ['-v']]) {
    const { code, stdout } = await sandbox.run(args);
    assert.deepEqual([code, /^\d+\.\d+\.\d+\S*\n$/.test(stdout)], [0, true]);
  }
  const bare = await sandbox.run([]);
  assert.deepEqual([bare.code, bare.stdout], [0, help.stdout]);
});

test('nothing is read as a number or a setting: a directory called 007, a package.json with a yargs key', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('007', { 'server.js': '', 'package.json': '{"name":"bond","yargs":{"boolean-negation":false}}' });
  const { code, stdout, stderr } = await sandbox.run(['config', '007', '--json']);
  assert.deepEqual([code, stderr, (JSON.parse(stdout) as { target: { dir: string } }).target.dir], [0, '', dir]);
  assert.equal((await sandbox.run(['config', '--json'], { cwd: dir })).stderr, '');
});
