import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { startTestCluster } from '../../bin/testing/index.js';
import { directory } from '../helpers/config-dir.js';

/** Tells which file, and where it works. */
const APP = (version: number) => `
  const said = () => JSON.stringify({ version: ${version}, file: process.argv[1], cwd: process.cwd(), slot: process.env.CLUSTER_SLOT });
  export default (request, response) => response.setHeader('connection', 'close').end(said());`;

/** Slot 1 has the other version. */
const PLUGIN = `
  import path from 'node:path';
  export default { name: 'canary', apply({ hooks, target }, options) {
    const dir = path.resolve(target.realDir, options.dir);
    hooks.beforeForkWorker.tap('canary', (spec) => {
      if (spec.slot === 1) Object.assign(spec, { dir, entry: path.join(dir, 'server.js') });
    });
    hooks.workerReady.tap('canary', ({ slot, entry }) => console.log('slot ' + slot + ' runs ' + entry));
  } };`;

function versions(t: TestContext): { one: string; two: string } {
  const dir = directory(t, {
    'one/.clusterrc': { standby: 1, plugins: { './canary.js': { dir: '../two' } } },
    'one/package.json': { name: 'shop', type: 'module' }, 'one/app.js': APP(1), 'one/canary.js': PLUGIN,
    'two/package.json': { name: 'shop', type: 'module' }, 'two/server.js': APP(2),
  });
  return { one: path.join(realpathSync(dir), 'one'), two: path.join(realpathSync(dir), 'two') };
}

type Said = { version: number; file: string; cwd: string; slot: string };

test('two versions beside each other: each slot keeps its own through death, standby and reload', async (t) => {
  const { one, two } = versions(t);
  const cluster = await startTestCluster({ target: one, workers: 2 });
  t.after(() => cluster.stop());
  const all = async (): Promise<Record<string, Said>> => {
    const said: Record<string, Said> = {};
    while (Object.keys(said).length < 2) {
      const one = await (await cluster.fetch('/')).json() as Said;
      said[one.slot] = one;
    }
    return said;
  };
  const wanted = {
    0: { version: 1, file: path.join(one, 'app.js'), cwd: one, slot: '0' },
    1: { version: 2, file: path.join(two, 'server.js'), cwd: two, slot: '1' },
  };
  assert.deepEqual(await all(), wanted);
  assert.match(cluster.output, new RegExp(`slot 1 runs ${path.join(two, 'server.js')}`));
  await cluster.line(/stands by, generation 1/);
  const pid = await cluster.signal(1, 'SIGKILL');
  await cluster.until(({ workers }) => workers.some((worker) => worker.slot === 1 && worker.state === 'ready' && worker.pid !== pid));
  assert.deepEqual(await all(), wanted);
  await cluster.reload();
  assert.deepEqual(await all(), wanted);
});

for (const [what, change, says] of [
  ['no file', "spec.entry = '/nowhere/server.js'",
    /beforeForkWorker \(plugin "canary".*\): expected an absolute path of a file as entry, found "\/nowhere\/server.js"/],
  ['relative', "spec.entry = 'server.js'", /expected an absolute path of a file as entry, found "server.js"/],
  ['no directory', 'spec.dir = 42', /expected an absolute path of a directory as dir, found 42/],
] as const) {
  test(`an entry, or a directory, that is ${what}: the start fails with the plugin's name`, async (t) => {
    const dir = directory(t, {
      'package.json': { name: 'shop', type: 'module' }, 'app.js': APP(1), '.clusterrc': { plugins: { './canary.js': true } },
      'canary.js': `export default { name: 'canary', apply({ hooks }) {
        hooks.beforeForkWorker.tap('canary', (spec) => { ${change}; });
      } };`,
    });
    await assert.rejects(startTestCluster({ target: dir, workers: 1 }), says);
  });
}
