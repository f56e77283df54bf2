import assert from 'node:assert/strict';
import test from 'node:test';
import { root, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

const app = (start: string, more: Record<string, string | object> = {}) => ({
  'package.json': { name: 'steps', private: true },
  'app.js': `module.exports = ({ step }) => { ${start}
    return (request, response) => response.end('{}'); };`,
  ...more,
});

test('a worker is ready when its steps are done, and status shows what it waits for', async (t) => {
  const { dir, write } = ownApp(t, app(`
    const done = step('database');
    const timer = setInterval(() => { if (require('node:fs').existsSync(__dirname + '/there')) { clearInterval(timer); done(); } }, 20);`));
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'], ready: false });
  await eventually(async () => {
    const { state, workers: [worker] } = await cluster.status();
    const [step] = worker?.steps ?? [];
    return state === 'starting' && worker?.state === 'booting' && step?.name === 'the step "database"' && step.age > 0;
  });
  assert.match((await cluster.run('status')).stdout, /worker#0 waits for the step "database": /);
  write('there', '');
  await cluster.waitFor(/started on http/);
  assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await cluster.status()).workers[0]?.steps, undefined);
  await cluster.stop();
  await cluster.assertNothingLeft();
});

test('a start that hangs names the steps that it waits for, and how long', async (t) => {
  const { dir } = ownApp(t, app(`step('database'); step('cache'); step('log')();`));
  const cluster = await startCluster(t, dir, { flags: ['-w', '1', '--start-timeout', '1500'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /\(startTimeout\): the step "database" \(\d\.\d s\), the step "cache" \(\d\.\d s\) do not finish/);
});

test('a start that hangs because a shared client does not become ready names that', async (t) => {
  const { dir } = ownApp(t, app('', { 'app.js': `class Registry { ready() { return new Promise(() => {}); } }
    module.exports = async ({ shareClient }) => { await shareClient(Registry); };` }));
  const cluster = await startCluster(t, dir, { flags: ['-w', '1', '--start-timeout', '1500'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /\(startTimeout\): the shared client "Registry" does not finish \(\d\.\d s\)/);
});

test('a step that fails ends the start with its error; in the agent too', async (t) => {
  const { dir } = ownApp(t, app('', { 'agent.js': `module.exports = ({ step }) => { step('queue')(new Error('no broker')); };` }));
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /agent \(pid \d+\) failed: no broker/);
});

test('a step that fails ends a start that waits for something else as well', async (t) => {
  const { dir } = ownApp(t, {
    'package.json': { name: 'steps', private: true },
    'app.js': `module.exports = ({ step }) => {
      setTimeout(step('database'), 50, new Error('no database'));
      return new Promise(() => setInterval(() => {}, 1000));
    };`,
  });
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /worker#0 \(pid \d+\) failed: no database/);
});

test('a weak step that hangs holds nothing up for longer than its time', async (t) => {
  const { dir } = ownApp(t, app(`step('metrics', { weak: true, timeout: 100 });`));
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'] });
  assert.match(cluster.output, /the start goes on without the step "metrics": .* 100 ms/);
  assert.equal((await get(cluster.url)).status, 200);
});

for (const [how, options, ends] of [['', '{}', /: the step "models" does not finish \(\d\.\d s\)/],
  [' with a time limit', '{ timeout: 100 }', /failed: the step "models" was not done within 100 ms/]] as const) {
  test(`beforeStart of a framework's Application: a start that hangs in it names it${how}`, async (t) => {
    const { dir } = ownApp(t, {
      'package.json': { name: 'steps', private: true, cluster: { framework: './framework.js' } },
      'framework.js': `const { Application, Agent } = require(${JSON.stringify(`${root}/dist/lib/index.cjs`)});
        exports.Agent = Agent;
        exports.Application = class extends Application {
          constructor(options) {
            super(options);
            this.beforeStart('first', () => {});
            this.beforeStart('models', () => new Promise(() => {}), ${options});
          }
          callback() { return (request, response) => response.end(); }
        };`,
    });
    const cluster = await startCluster(t, dir, { flags: ['-w', '1', '--start-timeout', '1500'], ready: false });
    assert.equal((await cluster.ended()).code, 1);
    assert.match(cluster.output, ends);
  });
}
