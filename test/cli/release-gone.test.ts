import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Status } from '../../lib/api/control.js';
import { packageRoot } from '../../lib/kit/package.js';
import { freePort, node } from '../helpers/cluster.js';
import { unsuited } from '../helpers/skips.js';
import { get, Sandbox, until } from './sandbox.js';

const skip = process.platform !== 'linux' && unsuited.linux;

/** Installs the package as a package manager does: a folder of its own in the app's node_modules. */
function install(dir: string): string {
  const folder = path.join(dir, 'node_modules/hatchery');
  mkdirSync(folder, { recursive: true });
  cpSync(path.join(packageRoot, 'dist'), path.join(folder, 'dist'), { recursive: true });
  cpSync(path.join(packageRoot, 'package.json'), path.join(folder, 'package.json'));
  const { dependencies } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { dependencies: object };
  for (const name of Object.keys(dependencies)) {
    const link = path.join(dir, 'node_modules', name);
    if (!existsSync(link)) symlinkSync(path.join(packageRoot, 'node_modules', name), link);
  }
  return folder;
}

/** A server that says which release it is, an agent, and a plugin with parts in the release and in a package. */
const FILES: Record<string, string> = {
  'package.json': '{"name":"shop"}',
  'server.js': `require('node:http').createServer((request, response) => {
    if (request.url === '/die') process.kill(process.pid, 'SIGKILL');
    response.end(['RELEASE', globalThis.inside, globalThis.packed].join(' '));
  }).listen(process.env.PORT);`,
  'agent.js': 'module.exports = () => {};',
  'parts/plugin.mjs': `export default { name: 'mine', apply(master) {
    master.inject('worker', new URL('./inside.mjs', import.meta.url));
    master.inject('agent', new URL('./inside.mjs', import.meta.url));
    master.inject('worker', new URL('../node_modules/packed/part.cjs', import.meta.url));
  } };`,
  'parts/inside.mjs': 'export default () => { globalThis.inside = "inside RELEASE"; };',
  'node_modules/packed/part.cjs': 'module.exports = () => { globalThis.packed = "packed RELEASE"; };',
  'node_modules/packed/package.json': '{"name":"packed","version":"1.0.0"}',
  '.clusterrc': '{"plugins":{"./parts/plugin.mjs":true}}',
};

class Site {
  readonly dir: string;
  readonly current: string;
  readonly sandbox: Sandbox;

  constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
    this.dir = path.join(sandbox.dir, 'srv');
    this.current = path.join(this.dir, 'current');
  }

  release(number: number): string {
    const dir = path.join(this.dir, 'releases', String(number));
    for (const [file, text] of Object.entries(FILES)) {
      mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
      writeFileSync(path.join(dir, file), text.replaceAll('RELEASE', String(number)));
    }
    install(dir);
    return dir;
  }

  switchTo(number: number): void {
    rmSync(this.current, { force: true });
    symlinkSync(`releases/${number}`, this.current);
  }

  remove(number: number): void {
    rmSync(path.join(this.dir, 'releases', String(number)), { recursive: true });
  }

  /** As a shell that stands in `current`, or elsewhere, runs it: by a relative path, with PWD as it was typed. */
  framework(args: string[], cwd = this.current, bin = './node_modules/hatchery/dist/bin/framework.js') {
    return spawnSync(node, [bin, ...args], { cwd, env: { ...this.sandbox.env, PWD: cwd }, encoding: 'utf8', timeout: 30_000 });
  }

  async start(flags: string[] = []): Promise<number> {
    const port = await freePort();
    const { status, stderr } = this.framework(['start', '-d', '-w', '1', '-p', String(port), ...flags]);
    assert.equal(status, 0, stderr);
    return port;
  }

  status(target: string): Status {
    const { stdout, stderr } = this.framework(['status', '--json', target]);
    assert.notEqual(stdout, '', stderr);
    return JSON.parse(stdout) as Status;
  }
}

/** SIGKILLs agent and worker together; resolves when others serve in their place. */
async function killBoth(site: Site, port: number): Promise<void> {
  const { agent, workers } = site.status(site.current);
  const pids = [agent!.pid, workers[0]!.pid] as number[];
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await until(() => {
    const now = site.status(site.current);
    const all = [now.agent, now.workers[0]];
    return all.every((one) => one?.state === 'ready' && !pids.includes(one.pid as number));
  }, 40_000, 'both are replaced');
  assert.match(await get(port), /^\d inside/);
}

const copies = (site: Site): string[] => readdirSync(path.join(site.sandbox.dir, 'run/.hatchery')).filter((name) => name.startsWith('p.'));

test('the release that the master was started from is deleted: it forks, reloads and restarts as before', { skip }, async (t) => {
  const site = new Site(new Sandbox(t));
  site.release(1);
  const second = site.release(2);
  site.switchTo(1);
  const port = await site.start();
  assert.equal(await get(port), '1 inside 1 packed 1');
  const { master } = site.status(site.current);
  site.switchTo(2);
  assert.equal(site.framework(['reload']).status, 0);
  assert.equal(await get(port), '2 inside 2 packed 2', 'parts are those of the release that runs');
  site.remove(1);
  await killBoth(site, port);
  assert.equal(await get(port), '2 inside 2 packed 2');
  // Found by either path, and by the one that is gone.
  for (const target of [site.current, second, path.join(site.dir, 'releases/1')]) assert.equal(site.status(target).master.pid, master.pid);
  // No second one beside it.
  const again = site.framework(['start', '-p', String(await freePort())]);
  assert.equal(again.status, 1);
  assert.match(again.stderr, new RegExp(`"shop" is already running in ${site.current} \\(pid ${master.pid}\\)`));
  site.release(3);
  site.switchTo(3);
  assert.equal(site.framework(['reload']).status, 0);
  assert.equal(await get(port), '3 inside 3 packed 3');
  assert.deepEqual(copies(site), [], 'the new release has the same version: nothing was written');
  mkdirSync(path.join(site.current, 'logs'), { recursive: true });
  const restart = site.framework(['restart']);
  assert.equal(restart.status, 0, restart.stderr);
  assert.equal(await get(port), '3 inside 3 packed 3');
  assert.equal(site.framework(['stop']).status, 0);
  assert.deepEqual(site.sandbox.files(), []);
});

test('what is printed for other services names the link, not the release that it leads to', { skip }, (t) => {
  const site = new Site(new Sandbox(t));
  writeFileSync(path.join(site.release(1), '.clusterrc'), '{"plugins":{"sticky-session":{"perSlotSocket":true}}}');
  site.switchTo(1);
  const bin = path.join(site.current, 'node_modules/hatchery/dist/bin/framework.js');
  const unit = site.framework(['systemd']).stdout;
  assert.match(unit, new RegExp(`^WorkingDirectory=${site.current}$`, 'm'));
  assert.match(unit, new RegExp(`^ExecStart=\\S+ ${bin} start ${site.current}$`, 'm'));
  const proxy = site.framework(['proxy-config', 'nginx']).stdout;
  assert.match(proxy, new RegExp(`unix:${site.current}/run/shop-0.sock`));
  for (const text of [unit, proxy]) assert.doesNotMatch(text, /releases/);
  // From elsewhere, by the release's own bin, the directory that is typed says it.
  const own = path.join(site.dir, 'releases/1/node_modules/hatchery/dist/bin/framework.js');
  const elsewhere = site.framework(['systemd', site.current], site.sandbox.dir, own);
  assert.doesNotMatch(elsewhere.stdout, /releases/);
});

test('the package is replaced by another version: children are of the master\'s, from a copy that goes with it', { skip }, async (t) => {
  const site = new Site(new Sandbox(t));
  const folder = path.join(site.release(1), 'node_modules/hatchery');
  site.switchTo(1);
  const port = await site.start();
  const log = path.join(site.current, 'logs/shop.log');
  const other = (file: string) => writeFileSync(path.join(folder, file), 'throw new Error("another version");');
  for (const name of ['worker-main.cjs', 'agent-main.cjs', 'worker.cjs', 'agent.cjs']) other(`dist/lib/child/${name}`);
  writeFileSync(path.join(folder, 'package.json'), '{"name":"hatchery","version":"9.9.9"}');
  const bin = path.join(packageRoot, 'dist/bin/framework.js');
  site.framework = ((args: string[]) => Site.prototype.framework.call(site, args, site.current, bin)) as typeof site.framework;
  await killBoth(site, port);
  assert.match(readFileSync(log, 'utf8'),
    /hatchery, which this master \(\S+\) was started from, is of version 9\.9\.9 now; processes are started from/);
  assert.equal(copies(site).length, 1);
  // Once more: the whole folder is gone, and so is the copy.
  rmSync(folder, { recursive: true });
  rmSync(path.join(site.sandbox.dir, 'run/.hatchery', copies(site)[0]!), { recursive: true });
  await killBoth(site, port);
  assert.equal(site.framework(['reload']).status, 0);
  assert.equal(await get(port), '1 inside 1 packed 1');
  assert.equal(site.framework(['stop']).status, 0);
  assert.deepEqual(site.sandbox.files(), []);
});

test('a copy of the package does not outlive a master that is killed', { skip }, async (t) => {
  const site = new Site(new Sandbox(t));
  const dir = site.release(1);
  site.switchTo(1);
  const port = await site.start();
  rmSync(path.join(dir, 'node_modules/hatchery'), { recursive: true });
  const bin = path.join(packageRoot, 'dist/bin/framework.js');
  site.framework = ((args: string[]) => Site.prototype.framework.call(site, args, site.current, bin)) as typeof site.framework;
  await killBoth(site, port);
  assert.equal(copies(site).length, 1);
  process.kill(site.status(site.current).master.pid, 'SIGKILL');
  await until(() => site.sandbox.processes().length === 0, 15_000, 'all are gone');
  await until(() => site.sandbox.files().length === 0, 5_000, 'nothing is left');
});

test('where nothing can be written and no other place has the version, the cause is named', {
  skip: skip || (process.getuid?.() !== 0 && unsuited.root),
}, async (t) => {
  const site = new Site(new Sandbox(t));
  const dir = site.release(1);
  site.switchTo(1);
  chmodSync(site.sandbox.dir, 0o755);
  const uid = 54_322;
  for (const taken of [`/tmp/hatchery-${uid}`, `/var/tmp/hatchery-${uid}`]) {
    writeFileSync(taken, '');
    t.after(() => rmSync(taken, { force: true }));
  }
  const port = await freePort();
  const master = spawn(node, ['./node_modules/hatchery/dist/bin/framework.js', 'start', '-w', '1', '-p', String(port)], {
    cwd: realpathSync(dir), env: { ...site.sandbox.env, HOME: '/proc/1', XDG_RUNTIME_DIR: '/proc/1', TMPDIR: '/proc/1' }, uid,
  });
  t.after(() => master.kill('SIGKILL'));
  let output = '';
  for (const stream of [master.stdout, master.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text; });
  await until(() => output.includes('started on'));
  // What it holds it reads once it is ready.
  await new Promise((resolve) => setTimeout(resolve, 300));
  rmSync(path.join(dir, 'node_modules/hatchery'), { recursive: true });
  await fetch(`http://127.0.0.1:${port}/die`).catch(() => {});
  const cause = /no process can be started: .*\/hatchery, which this master was started from, is gone; .*no copy can be written/;
  await until(() => cause.test(output));
  assert.equal(existsSync(`/proc/${master.pid}`), true);
  assert.equal(install(dir), path.join(dir, 'node_modules/hatchery'));
  await until(async () => (await get(port)).startsWith('1 inside'), 30_000, 'it goes on once the package is there again');
});
