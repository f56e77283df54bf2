import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../helpers/cluster.js';
import { startDev } from '../helpers/dev.js';
import { once } from '../helpers/raw-client.js';

/** Three servers, which take their time to come. */
const app = (version: string, second: number, third: number) => `const http = require('node:http');
const serves = (name) => http.createServer((request, response) => response.end(name + ' ${version}'));
setTimeout(() => {
  serves('first').listen(process.env.PORT);
  serves('second').listen(${second});
  serves('third').listen({ port: ${third}, exclusive: true });
}, 600);`;

test('a request to any server of the app waits for the new code, also where it listens alone', { timeout: 30_000 }, async (t) => {
  const [second, third] = [await freePort(), await freePort()];
  const dev = await startDev(t, 'dev-app', { edit: (dir) => writeFileSync(path.join(dir, 'app.js'), app('one', second, third)) });
  const ask = async (port: number) => (await once({ port }, 'GET', '/')).body.toString();
  const all = () => Promise.all([dev.cluster.port, second, third].map(ask));
  assert.deepEqual(await all(), ['first one', 'second one', 'third one']);
  for (const version of ['two', 'three']) {
    const from = dev.mark();
    dev.write('app.js', app(version, second, third));
    await dev.cluster.waitFor(/exited with code 0/, 5_000, from);
    assert.deepEqual(await all(), [`first ${version}`, `second ${version}`, `third ${version}`]);
  }
});
