import assert from 'node:assert/strict';
import {
  chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../lib/kit/package.js';
import { node } from '../helpers/cluster.js';
import { Sandbox, SERVER } from './sandbox.js';

test('what is kept compiled from one run to the next changes nothing, be it whole or spoiled', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, 'cluster.config.mjs': 'export default { workers: 3 };' });
  const kept = path.join(sandbox.dir, 'kept');
  const config = () => sandbox.run(['config', dir, '--json'], { env: { NODE_COMPILE_CACHE: kept } });
  const first = await config();
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /cluster\.config\.mjs/);
  const files = readdirSync(kept, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  assert.ok(files.length > 0);
  assert.equal((await config()).stdout, first.stdout);
  for (const file of files) writeFileSync(file, 'spoiled');
  assert.equal((await config()).stdout, first.stdout);
});

test('two installations of one version: a stack shows the paths of the one that runs', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', {
    'server.js': SERVER,
    'mine.mjs': `export default { name: "mine", apply({ hooks }) {
      hooks.configResolved.tap("mine", () => { throw new Error("no"); });
    } };`,
    '.clusterrc': '{"plugins":{"./mine.mjs":true}}',
  });
  const kept = path.join(sandbox.dir, 'kept');
  for (const name of ['one', 'other']) {
    const root = path.join(sandbox.dir, name);
    mkdirSync(root);
    cpSync(path.join(packageRoot, 'dist'), path.join(root, 'dist'), { recursive: true });
    for (const file of ['package.json', 'node_modules']) symlinkSync(path.join(packageRoot, file), path.join(root, file));
    const config = (app: string) => spawnSync(node, [path.join(root, 'dist/bin/framework.js'), 'config', app], {
      encoding: 'utf8', env: { ...sandbox.env, NODE_COMPILE_CACHE: kept },
    });
    // A good end keeps what was compiled.
    assert.equal(config(sandbox.app('plain')).status, 0);
    assert.match(config(dir).stderr, new RegExp(`${root}/dist/core\\.cjs`));
  }
});

/** A directory with what one run of `framework config` keeps, and that run again. */
async function keptBy(sandbox: Sandbox) {
  const dir = sandbox.app();
  const kept = path.join(sandbox.dir, 'kept');
  const config = async () => {
    const { code, stdout, stderr } = await sandbox.run(['config', dir, '--json'], { env: { NODE_COMPILE_CACHE: kept } });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const said = await config();
  const place = path.join(kept, readdirSync(kept)[0]!);
  const file = path.join(place, readdirSync(place)[0]!);
  return { config, said, kept, place, file };
}

test('a damaged file, whatever bit it is, is not believed and is replaced', async (t) => {
  const { config, said, place, file } = await keptBy(new Sandbox(t));
  const whole = readFileSync(file);
  for (let round = 0; round < 12; round++) {
    const damaged = Buffer.from(whole);
    const at = Math.floor(whole.length * (round + 0.5) / 12);
    damaged[at]! ^= 1 << round % 8;
    writeFileSync(file, round === 0 ? damaged.subarray(0, at) : damaged);
    assert.equal(await config(), said);
    assert.deepEqual(readdirSync(place), [path.basename(file)]);
    assert.notDeepEqual(readFileSync(file), damaged);
  }
});

test('kept code is taken from a file of ours alone: no link, nothing that others may write to', async (t) => {
  const { config, said, kept, place, file } = await keptBy(new Sandbox(t));
  const other = path.join(path.dirname(kept), 'elsewhere');
  const inode = statSync(file).ino;
  chmodSync(file, 0o666);
  assert.equal(await config(), said);
  assert.notEqual(statSync(file).ino, inode, 'replaced');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  renameSync(file, other);
  symlinkSync(other, file);
  assert.equal(await config(), said);
  assert.ok(statSync(file).ino !== statSync(other).ino, 'a link is replaced by a file');
  rmSync(file);
  renameSync(place, `${other}.dir`);
  symlinkSync(`${other}.dir`, place);
  assert.equal(await config(), said);
  assert.deepEqual(readdirSync(`${other}.dir`), [], 'nothing is written through a link');
});

test('what nobody has used for 30 days goes, drafts at once; what is others\' stays', async (t) => {
  const { config, kept, place, file } = await keptBy(new Sandbox(t));
  const beside = path.join(kept, 'v20.19.0-x64');
  mkdirSync(beside);
  const put = (name: string, days: number) => {
    writeFileSync(name, '');
    const at = Date.now() / 1_000 - days * 86_400;
    utimesSync(name, at, at);
    return name;
  };
  const entry = path.basename(file);
  const unused = [put(path.join(place, entry.replace('config', 'old')), 31), put(path.join(beside, entry), 31), put(`${file}.4711`, 1)];
  const used = [put(path.join(place, entry.replace('config', 'status')), 29), put(path.join(place, 'of-node.cache'), 400)];
  const days = (name: string) => (Date.now() - statSync(name).mtimeMs) / 86_400_000;
  utimesSync(file, Date.now() / 1_000, Date.now() / 1_000 - 29 * 86_400);
  await config();
  assert.deepEqual(unused.filter((name) => existsSync(name)), []);
  assert.deepEqual(used.filter((name) => !existsSync(name)), []);
  assert.equal(existsSync(beside), false);
  assert.ok(days(file) < 1, 'what is used is young again');
});
