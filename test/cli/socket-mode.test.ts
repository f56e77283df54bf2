import assert from 'node:assert/strict';
import { chmodSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { localGroups } from '../../lib/kit/sockets.js';
import { unsuited } from '../helpers/skips.js';
import { Sandbox, SERVER, until } from './sandbox.js';

const isRoot = process.getuid?.() === 0;
/** A group that this process may give its files to, other than the one that they have by themselves. */
const other = isRoot ? 1 : (process.getgroups?.() ?? []).find((gid) => gid !== process.getegid?.()) ?? process.getegid?.() ?? 0;

const modeOf = (file: string): string => (statSync(file).mode & 0o777).toString(8);

const body = (socketPath: string): Promise<string> => new Promise((resolve, reject) => {
  http.get({ socketPath, path: '/', agent: false, timeout: 5_000 }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; }).on('end', () => resolve(text));
  }).on('error', reject);
});

/** An app with this configuration on `app.sock`, as a daemon. */
async function daemon(sandbox: Sandbox, config: object): Promise<{ dir: string; socket: string; configure(config: object): void }> {
  const dir = sandbox.app();
  const file = path.join(dir, '.clusterrc');
  const configure = (keys: object) => writeFileSync(file, JSON.stringify({ path: 'app.sock', workers: 2, ...keys }));
  configure(config);
  const { code, stderr } = await sandbox.run(['start', dir, '--daemon']);
  assert.equal(code, 0, stderr);
  return { dir, socket: path.join(dir, 'app.sock'), configure };
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const reusesPorts = process.platform === 'linux' && (major > 22 || (major === 22 && minor >= 12));
for (const balance of ['round-robin', 'os', 'reuse-port']) {
  const skip = balance === 'reuse-port' && !reusesPorts && unsuited.reusePort;
  test(`balance ${balance}: mode and group of the socket, and what a reload makes of them`, { skip }, async (t) => {
    const sandbox = new Sandbox(t);
    const { dir, socket, configure } = await daemon(sandbox, { balance, mode: '0666', group: other });
    assert.deepEqual([modeOf(socket), statSync(socket).gid, await body(socket)], ['666', other, 'BODY']);
    configure({ balance, mode: '0o600', group: other });
    assert.equal((await sandbox.run(['reload', dir])).code, 0);
    assert.deepEqual([modeOf(socket), await body(socket)], ['600', 'BODY']);
    configure({ balance, mode: '660', path: 'next.sock' });
    assert.equal((await sandbox.run(['reload', dir])).code, 0);
    const next = path.join(dir, 'next.sock');
    assert.deepEqual([modeOf(next), await body(next)], ['660', 'BODY']);
  });
}

test('the address is kept while its worker dies, with its permissions', async (t) => {
  const sandbox = new Sandbox(t);
  const { dir, socket } = await daemon(sandbox, { mode: '0622', workers: 1 });
  const [worker] = (await sandbox.status([dir])).workers;
  process.kill(worker!.pid!, 'SIGKILL');
  assert.equal(await body(socket), 'BODY');
  assert.equal(modeOf(socket), '622');
});

test('the sockets of the slots have them too, unless they have a mode of their own', async (t) => {
  const sandbox = new Sandbox(t);
  const plugins = (perSlotSocket: unknown) => ({ 'sticky-session': { perSlotSocket } });
  const { dir, configure } = await daemon(sandbox, { mode: '0660', group: other, plugins: plugins(true) });
  const slot = path.join(dir, 'run', 'app-1.sock');
  assert.deepEqual([modeOf(slot), statSync(slot).gid], ['660', other]);
  configure({ mode: '0606', group: other, plugins: plugins(true) });
  assert.equal((await sandbox.run(['reload', dir])).code, 0);
  assert.deepEqual([modeOf(slot), await body(slot)], ['606', 'BODY']);
  configure({ mode: '0606', plugins: plugins({ mode: '0640' }) });
  const { code, stderr } = await sandbox.run(['restart', dir]);
  assert.equal(code, 0, stderr);
  assert.equal(modeOf(slot), '640');
});

test('development: also while there is only the page of an app that does not start', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': 'throw new Error("broken")', '.clusterrc': '{"path":"app.sock","mode":"0666"}' });
  const master = sandbox.spawn(['dev', dir]);
  const socket = path.join(dir, 'app.sock');
  await until(() => master.text.includes('broken') && statSync(socket, { throwIfNoEntry: false }));
  assert.match(await body(socket), /broken/);
  assert.equal(modeOf(socket), '666');
  writeFileSync(path.join(dir, 'server.js'), SERVER);
  await until(async () => await body(socket) === 'BODY');
  assert.equal(modeOf(socket), '666');
});

test('a group that is not there, or none of the user\'s: one line', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const name = [...localGroups().keys()].find((one) => one.length > 5) ?? 'daemon';
  writeFileSync(path.join(dir, '.clusterrc'), JSON.stringify({ path: 'app.sock', group: `${name}x` }));
  const { code, stderr } = await sandbox.run(['start', dir]);
  assert.equal(code, 2);
  assert.equal(stderr, `.clusterrc: group: there is no group "${name}x", did you mean "${name}"?\n`);
});

test('a user gives its sockets to no group that it is not in', { skip: isRoot ? false : unsuited.root }, async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  chmodSync(sandbox.dir, 0o755);
  writeFileSync(path.join(dir, '.clusterrc'), '{"path":"app.sock","group":54321}');
  const env = { HOME: '/nonexistent', TMPDIR: '/nonexistent', XDG_RUNTIME_DIR: undefined };
  const asNobody = sandbox.spawn(['start', dir, '-w', '1'], { uid: 65534, env });
  await asNobody.ended;
  assert.match(asNobody.text, /^\.clusterrc: group: this user \(uid 65534\) is not in group "54321", so it cannot give/);
});
