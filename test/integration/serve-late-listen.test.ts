import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

test('an app that listens only when its database is there is ready then', async (t) => {
  const cluster = await startCluster(t, 'late-listen', { flags: ['-w', '2'] });
  assert.equal((await get(cluster.url)).json.by, 'late');
  assert.equal((await cluster.stop()).code, 0);
});

for (const name of ['late-listen-app', 'cjs-server']) {
  test(`${name}: an export that is served already may listen by itself later, on the same port`, async (t) => {
    const cluster = await startCluster(t, name, { flags: ['-w', '2'] });
    await cluster.waitFor(/the app listens[^]*the app listens/);
    assert.equal((await get(cluster.url)).status, 200);
    const { workers } = await cluster.status();
    assert.deepEqual(workers.map(({ restarts }) => restarts), [0, 0]);
    assert.equal((await cluster.stop()).code, 0);
  });
}

const metricsFirst = `const http = require('node:http');
http.createServer((request, response) => response.end('metrics')).listen(0);
`;

test('a function that is exported, and is no handler, is not served where the app itself listens a little later', async (t) => {
  const app = ownApp(t, { 'server.js': `${metricsFirst}
setTimeout(() => http.createServer((request, response) => response.end('site')).listen(process.env.PORT), 500);
module.exports = function add(a, b) { console.log('called'); return a + b; };` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  for (let round = 0; round < 3; round++) assert.equal((await get(cluster.url)).text, 'site');
  assert.doesNotMatch(cluster.output, /called/);
});

test('a handler that is exported beside a server of another kind is served when nothing of the app\'s own comes', async (t) => {
  const app = ownApp(t, { 'server.js': `${metricsFirst} module.exports = (request, response) => response.end('site');` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  assert.equal((await get(cluster.url)).text, 'site');
});
