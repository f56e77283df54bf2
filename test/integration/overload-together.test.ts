import assert from 'node:assert/strict';
import http2 from 'node:http2';
import https from 'node:https';
import path from 'node:path';
import test from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { costlyApp, flood } from '../helpers/flood.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

const SOON = { target: 10, interval: 50 };

test('beside one that stands by and a range: too much load brings another worker, and a killed one leaves nobody waiting', async (t) => {
  const { dir } = ownApp(t, { 'app.js': costlyApp(5), '.clusterrc': {
    workers: { min: 1, max: 2 }, standby: 1, plugins: { overload: SOON },
  } });
  const cluster = await startCluster(t, dir);
  const load = flood(cluster.port, { clients: 60, keeps: false });
  const ready = async () => (await cluster.status()).workers.filter(({ state }) => state === 'ready');
  await eventually(async () => (await ready()).length === 2, 30_000);
  assert.deepEqual(load.losses, []);
  assert.ok(load.shed > 0);
  const { pid } = (await ready())[0]!;
  process.kill(pid, 'SIGKILL');
  await eventually(async () => (await ready()).filter((worker) => worker.pid !== pid).length === 2, 30_000);
  const before = load.answers.get(200) ?? 0;
  await eventually(() => (load.answers.get(200) ?? 0) > before + 100, 30_000);
  await load.stop();
  // Those that it had taken are lost with it, and know it.
  assert.deepEqual(load.losses.filter((loss) => /no answer within/.test(loss)), []);
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
});

const answer = `(request, response) => {
  if (request.url === '/slow') return response.write('begun');
  response.end('done');
}`;
const files = { key: path.join(fixture('https'), 'key.pem'), cert: path.join(fixture('https'), 'cert.pem') };

for (const [what, app, scheme] of [
  ['https', `require('node:https').createServer({ key: read('key'), cert: read('cert') }, ${answer})`, 'https'],
  ['http2', `require('node:http2').createServer(${answer})`, 'http'],
] as const) {
  test(`${what}: a worker sheds there too`, async (t) => {
    const { dir } = ownApp(t, {
      'app.js': `const read = (name) => require('node:fs').readFileSync(${JSON.stringify(files)}[name]);\n${app}.listen(process.env.PORT);`,
      '.clusterrc': { workers: 1, plugins: { overload: { requests: 1 } } },
    });
    const cluster = await startCluster(t, dir);
    const url = `${scheme}://127.0.0.1:${cluster.port}`;
    const session = http2.connect(url, { rejectUnauthorized: false });
    session.on('error', () => {});
    const asked = async (to: string) => {
      if (what === 'https') return (await get(`${url}${to}`)).status;
      const stream = session.request({ ':path': to });
      return new Promise<number>((resolve, reject) => {
        stream.on('response', ({ ':status': status = 0 }) => resolve(status)).on('error', reject).resume();
      });
    };
    assert.equal(await asked('/'), 200);
    // The one before counts until the server knows that it is done.
    let leave = () => {};
    await eventually(() => new Promise<boolean>((resolve) => {
      const began = (status: number | undefined) => resolve(status === 200);
      if (what === 'https') {
        const slow = https.get(`${url}/slow`, { rejectUnauthorized: false, agent: false }, ({ statusCode }) => began(statusCode));
        slow.on('error', () => {});
        leave = () => slow.destroy();
      } else {
        const slow = session.request({ ':path': '/slow' }).on('response', ({ ':status': status }) => began(status));
        leave = () => slow.close();
      }
    }));
    assert.equal(await asked('/'), 503);
    leave();
    await eventually(async () => await asked('/') === 200);
    session.destroy();
  });
}
