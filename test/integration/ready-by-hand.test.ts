import assert from 'node:assert/strict';
import { test } from 'node:test';
import { root, startCluster } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';

const runtime = JSON.stringify(`${root}/dist/lib/runtime.js`);
const never = 'new Promise(() => {})';

/** Apps that listen nowhere, some of which never settle; each says that it is ready. */
const apps: Record<string, Record<string, string>> = {
  'context.ready() in a function that goes on for ever': {
    'server.js': `module.exports = async (context) => { context.ready(); setInterval(() => {}, 1_000); await ${never}; };`,
  },
  'ready() of the runtime, in a module that never has loaded': {
    'server.mjs': `import { ready } from ${runtime};\nsetInterval(() => {}, 1_000);\nready();\nready();\nawait ${never};`,
  },
  'ready() of the runtime, in a thread that is faster than its module': {
    'server.js': `
const { Worker } = require('node:worker_threads');
new Worker(__dirname + '/thread.mjs');
const until = Date.now() + 300;
while (Date.now() < until);
setInterval(() => {}, 1_000);`,
    'thread.mjs': `import { ready } from ${runtime};\nready();\nsetInterval(() => {}, 1_000);`,
  },
  'process.send(\'ready\')': { 'server.js': 'setTimeout(() => process.send("ready"), 100); setInterval(() => {}, 1_000);' },
};

for (const [name, files] of Object.entries(apps)) {
  test(`ready by hand: ${name}`, async (t) => {
    const app = ownApp(t, files);
    const cluster = await startCluster(t, app.dir, { flags: ['-w', '2', '--start-timeout', '4000'] });
    const { workers, address } = await cluster.status();
    assert.deepEqual(workers.map(({ state }) => state), ['ready', 'ready']);
    assert.equal(address, null);
    assert.equal((await cluster.run('reload')).code, 0);
    assert.equal((await cluster.stop()).code, 0);
    await cluster.assertNothingLeft();
  });
}

const consumers: Record<string, string> = {
  'consumes as soon as it is loaded': 'setInterval(() => {}, 1_000);',
  'has nothing that keeps it alive': '',
  'exports a function of the context, which connects first': `
module.exports = async ({ onClose }) => {
  await new Promise((resolve) => setTimeout(resolve, 300));
  console.log('connected');
  onClose(() => console.log('disconnected'));
};`,
  'takes datagrams': 'require("node:dgram").createSocket("udp4").on("message", () => {}).bind(0);',
};

for (const [name, code] of Object.entries(consumers)) {
  test(`server: false, an app that ${name}`, async (t) => {
    const app = ownApp(t, { 'server.js': code, '.clusterrc': { server: false } });
    const cluster = await startCluster(t, app.dir, { flags: ['-w', '2', '--start-timeout', '4000'] });
    assert.equal((await cluster.run('reload')).code, 0);
    const { state, workers } = await cluster.status();
    assert.deepEqual([state, workers.length], ['running', 2]);
    assert.equal((await cluster.stop()).code, 0);
    assert.equal(cluster.output.match(/^connected$/gm)?.length ?? 0, cluster.output.match(/^disconnected$/gm)?.length ?? 0);
    await cluster.assertNothingLeft();
  });
}

test('server: false, and what it exports never resolves: the time-out says so', async (t) => {
  const app = ownApp(t, { 'server.js': `setInterval(() => {}, 1_000);\nmodule.exports = ${never};`, '.clusterrc': { server: false } });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1', '--start-timeout', '700'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /was not ready within 700 ms \(startTimeout\): its module, or what it exports, has not resolved/);
});

test('an export that fails after the app was ready by hand is an error like any other in its process', async (t) => {
  const app = ownApp(t, { 'server.js': `
module.exports = async (context) => {
  context.ready();
  setInterval(() => {}, 1_000);
  if (context.slot === 1) await new Promise((_, reject) => setTimeout(() => reject(new Error('queue gone')), 500));
};` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
  await cluster.waitFor(/queue gone/);
  await cluster.waitFor(/slot 1\) exited with code 1/);
});
