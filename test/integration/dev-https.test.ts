import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { test } from 'node:test';
import { startDev } from '../helpers/dev.js';
import { once, RawConnection, requestHead } from '../helpers/raw-client.js';

test('over https: reloads, the page, and the next save', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'https', {
    edit: (dir) => writeFileSync(path.join(dir, 'app.js'), "module.exports = (request, response) => response.end('one');"),
  });
  const target = { port: dev.cluster.port, secure: true };
  const get = async () => (await once(target, 'GET', '/')).body.toString();
  const until = async (what: RegExp) => {
    const deadline = performance.now() + 5_000;
    for (;;) {
      const body = await get();
      if (what.test(body)) return;
      assert.ok(performance.now() < deadline, `${body}\n${dev.cluster.output}`);
    }
  };
  await until(/one/);
  const kept = new RawConnection(target);
  t.after(() => kept.destroy());
  await kept.send(requestHead('GET', '/'), ['GET'], 5_000)[0];
  dev.write('app.js', "module.exports = (request, response) => response.end('two');");
  await until(/two/);
  assert.equal(kept.usable, false, 'a kept connection leads to old code no longer');
  dev.write('app.js', 'module.exports = nothing;');
  await until(/nothing is not defined/);
  dev.write('app.js', "module.exports = (request, response) => response.end('three');");
  await until(/three/);
});

test('over https, after a save that does not start, a kept connection leads to no old code', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'https', {
    edit: (dir) => writeFileSync(path.join(dir, 'app.js'), "module.exports = (request, response) => response.end('one');"),
  });
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  t.after(() => agent.destroy());
  const ask = () => new Promise<string>((resolve, reject) => {
    https.get({ agent, host: '127.0.0.1', port: dev.cluster.port }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
    }).on('error', reject);
  });
  assert.equal(await ask(), '200 one');
  dev.write('app.js', 'module.exports = nothing;');
  await dev.cluster.waitFor(/The app does not start: .*nothing is not defined/);
  assert.match(await ask(), /^500 .*nothing is not defined/s);
  dev.write('app.js', "module.exports = (request, response) => response.end('two');");
  await dev.cluster.waitFor(/reloaded in/);
  assert.equal(await ask(), '200 two');
});
