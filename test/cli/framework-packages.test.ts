import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { bin, fixture, freePort, root } from '../helpers/cluster.js';
import { Sandbox, until } from './sandbox.js';

const packages = fixture('framework-packages');
const PUBLIC = /^(?:hatchery(?:\/(?:cli|runtime|testing))?|node:.*|\.\/.*|granite)$/;

test('both frameworks import what is public alone', () => {
  const files = readdirSync(packages, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'));
  const texts = files.map((file) => readFileSync(path.join(packages, file), 'utf8'));
  const imported = texts.flatMap((text) => [...text.matchAll(/(?:\bfrom |\bimport\()'([^']+)'/g)].map((match) => match[1] as string));
  assert.ok(imported.length > 10);
  assert.deepEqual(imported.filter((one) => !PUBLIC.test(one)), []);
});

const SAME = `import { ClusterError } from 'hatchery';
import { ClusterError as InChildren } from 'hatchery/runtime';

const make = (Class) => new Class('ERR_CLUSTER_USAGE', 'x');
export default ({ constructor }) => {
  const { ClusterError: Theirs } = Object.getPrototypeOf(constructor).known;
  const all = [ClusterError, InChildren, Theirs];
  return String(all.every((one) => all.every((other) => make(one) instanceof other)) && !(new Error('x') instanceof ClusterError));
};
`;

/** A copy of the package as it is installed; `version` in place of its own. */
function copyTo(folder: string, version?: string): void {
  mkdirSync(folder, { recursive: true });
  cpSync(path.join(root, 'dist'), path.join(folder, 'dist'), { recursive: true });
  const manifest = readFileSync(path.join(root, 'package.json'), 'utf8');
  const own = version === undefined ? manifest : manifest.replace(/"version": "[^"]+"/, `"version": "${version}"`);
  writeFileSync(path.join(folder, 'package.json'), own);
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
}

/** Gives the folder whose node_modules has the programs, where it is not the app's. */
type Lay = (dir: string, app: string) => string | void;

function frameworksIn(dir: string): void {
  mkdirSync(dir, { recursive: true });
  for (const name of ['acme', 'granite']) cpSync(path.join(packages, name), path.join(dir, name), { recursive: true });
}

/** A framework that lies elsewhere, with a copy of the package of its own. */
const linked = (version?: string): Lay => (dir, app) => {
  const elsewhere = path.join(dir, 'elsewhere');
  frameworksIn(path.join(elsewhere, 'node_modules'));
  copyTo(path.join(elsewhere, 'node_modules/hatchery'), version);
  copyTo(path.join(app, 'node_modules/hatchery'));
  symlinkSync(path.join(elsewhere, 'node_modules/acme'), path.join(app, 'node_modules/acme'));
};

const MARK = `export default {
  name: 'granite-mark',
  apply: (master) => { master.inject('worker', new URL('./part.js', import.meta.url)); },
};`;
const MARKS = `export default ({ hooks }) => {
  hooks.request.tap('granite-mark', (request, response) => { response.setHeader('x-mark', 'yes'); });
};`;

/** Packages of a workspace, of which one is a plugin that the lower framework names and depends on, and nobody else. */
function workspace(dir: string): (name: string) => string {
  const folder = (name: string) => path.join(dir, 'packages', name);
  frameworksIn(path.join(dir, 'packages'));
  mkdirSync(folder('granite-mark'));
  const own = '{ "name": "granite-mark", "type": "module", "exports": "./index.js" }';
  const files = { 'package.json': own, 'index.js': MARK, 'part.js': MARKS };
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(folder('granite-mark'), file), text);
  const manifest = path.join(folder('granite'), 'package.json');
  const granite = JSON.parse(readFileSync(manifest, 'utf8')) as { cluster: { plugins: object } };
  Object.assign(granite.cluster.plugins, { 'granite-mark': true });
  writeFileSync(manifest, JSON.stringify(granite));
  return folder;
}

function link(target: string, from: string, name: string): void {
  mkdirSync(path.join(from, 'node_modules'), { recursive: true });
  symlinkSync(target, path.join(from, 'node_modules', name));
}

/** As a run of each package manager has left it: npm 10 and yarn 1 link all at the top, pnpm 9 to each package what it depends on. */
const layouts: Record<string, Lay> = {
  'workspace of npm, or yarn'(dir) {
    const folder = workspace(dir);
    for (const name of ['acme', 'granite', 'granite-mark']) link(folder(name), dir, name);
    copyTo(path.join(dir, 'node_modules/hatchery'));
    return dir;
  },
  'workspace of pnpm'(dir, app) {
    const folder = workspace(dir);
    const store = path.join(dir, 'node_modules/.pnpm/hatchery@0/node_modules/hatchery');
    copyTo(store);
    for (const one of [app, folder('acme'), folder('granite')]) link(store, one, 'hatchery');
    link(folder('acme'), app, 'acme');
    link(folder('granite'), folder('acme'), 'granite');
    link(folder('granite-mark'), folder('granite'), 'granite-mark');
  },
  installed(_, app) {
    frameworksIn(path.join(app, 'node_modules'));
    copyTo(path.join(app, 'node_modules/hatchery'));
  },
  linked: linked(),
};

for (const [name, lay] of Object.entries(layouts)) {
  test(`${name}: two frameworks, their plugins and a command line of their own`, async (t) => {
    const sandbox = new Sandbox(t);
    const app = sandbox.app('shop', { 'package.json': '{ "name": "shop", "type": "module" }' });
    mkdirSync(path.join(app, 'routes'));
    writeFileSync(path.join(app, 'routes/same.js'), SAME);
    const programs = lay(sandbox.dir, app) ?? app;
    const port = await freePort();
    const command = async (args: string[], program = path.join(programs, 'node_modules/acme/bin.js')) => {
      const child = sandbox.spawnNode([program, ...args], { cwd: app });
      return { code: await child.ended, text: child.text };
    };
    const ok = async (...args: string[]): Promise<string> => {
      const { code, text } = await command(args);
      assert.equal(code, 0, text);
      return text;
    };
    const ask = async (route: string): Promise<[string, string | null]> => {
      const answer = await fetch(`http://127.0.0.1:${port}${route}`);
      return [await answer.text(), answer.headers.get('x-granite')];
    };

    await ok('start', '-d', '-p', String(port));
    assert.deepEqual(await ask('/acme'), ['acme 0', 'acme']);
    assert.deepEqual(await ask('/same'), ['true', 'acme']);
    const { headers } = await fetch(`http://127.0.0.1:${port}/acme`);
    assert.equal(headers.get('x-mark'), name.startsWith('workspace') ? 'yes' : null);
    writeFileSync(path.join(app, '.clusterrc'), '{ "plugins": { "stamp": { "value": "shop" } } }');
    await ok('restart');
    assert.deepEqual(await ask('/acme'), ['acme 0', 'shop']);
    const config = await ok('config');
    assert.match(config, /runs on +acme 2\.1\.0[\s\S]*runs on +granite 1\.4\.0/);
    assert.match(config, /stamp\.js"\]\.value +"shop" +file \.clusterrc\n/);
    assert.match(config, /workers +1 +framework .*#cluster \(\$\{GRANITE_WORKERS:-1\}\)/);
    await ok('stop');

    assert.match(await ok('--help'), /routes +list the routes of an app/);
    assert.equal(await ok('routes'), '/same\n');
    writeFileSync(path.join(app, '.clusterrc'), '{ "framework": "acme", "plugins": { "stamp": { "header": "a b" } } }');
    const refused = await command(['routes', 'nowhere'], path.join(programs, 'node_modules/hatchery/dist/bin/framework.js'));
    assert.deepEqual([refused.code, refused.text], [2, `no routes in ${app}/nowhere/routes\n`]);
    const failed = await command(['start']);
    assert.equal(failed.code, 2, failed.text);
    assert.match(failed.text, /stamp: no header: a b\n/);
    assert.doesNotMatch(failed.text, /^ +at /m);
  });
}

test('a framework with another version of hatchery is named at the start', async (t) => {
  const sandbox = new Sandbox(t);
  const app = sandbox.app('shop', { 'package.json': '{ "name": "shop" }', '.clusterrc': '{ "framework": "acme" }' });
  linked('0.0.1')(sandbox.dir, app);
  mkdirSync(path.join(app, 'routes'));
  writeFileSync(path.join(app, 'routes/same.mjs'), SAME);
  const port = await freePort();
  const child = sandbox.spawnNode([bin, 'start', '-p', String(port)], { cwd: app });
  await until(() => child.text.includes('started on'));
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/same`)).text(), 'true');
  child.kill('SIGTERM');
  await child.ended;
  assert.match(child.text, /WARN \d+ \[master\] acme has hatchery 0\.0\.1 of its own \(.*\), and this is \S+: make hatchery a peer /);
});
