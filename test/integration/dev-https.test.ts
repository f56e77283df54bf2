import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
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
