import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { run } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { startHaproxy, startNginx, withoutHaproxy, withoutNginx } from '../helpers/proxies.js';
import { addresses, ask, stickyCluster } from '../helpers/sticky.js';

const PRINTED_PORT = 11_111;
const proxies = { nginx: { start: startNginx, skip: withoutNginx }, haproxy: { start: startHaproxy, skip: withoutHaproxy } };

for (const [name, { start, skip }] of Object.entries(proxies)) {
  test(`behind ${name} as proxy-config has it: a slot keeps its clients through reload, `
    + `death and scale, and nothing is lost`, { skip }, async (t) => {
    // A path and a title as people have them.
    const dir = mkdtempSync(path.join(os.tmpdir(), "ht it's "));
    // The proxy runs as another user.
    chmodSync(dir, 0o755);
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const cluster = await stickyCluster(t, { perSlotSocket: { dir } }, {
      title: '3d shop', env: { KEEP_ALIVE: '1000' }, config: { workers: 3 },
    });
    const printed = await run(['proxy-config', name, cluster.dir, '--title', '3d shop', '--listen', String(PRINTED_PORT)], {
      env: cluster.env,
    });
    assert.equal(printed.code, 0, printed.stderr);
    // The proxy has to let an idle connection go before the worker does, as what it sends just then is lost (proxy-idle).
    const config = printed.stdout.replace('keepalive_timeout 4s', 'keepalive_timeout 500ms');
    const port = await start(t, (own) => config.replaceAll(String(PRINTED_PORT), String(own)));

    const clients = addresses(30);
    const slots = async () => Promise.all(clients.map(async (from) => (await ask({ port }, '/', { from })).slot));
    const first = await slots();
    assert.deepEqual([...new Set(first)].sort(), [0, 1, 2]);
    const { headers } = await ask({ port }, '/', { from: clients[0], headers: { 'x-forwarded-for': '192.0.2.1' } });
    assert.deepEqual([headers['x-forwarded-for'], headers['x-forwarded-proto']], [`192.0.2.1, ${clients[0]}`, 'http']);
    assert.equal((await ask({ port }, '/upload', { body: Buffer.alloc(2 * 1024 * 1024) })).length, 2 * 1024 * 1024);

    let running = true;
    t.after(() => { running = false; });
    const lost: unknown[] = [];
    const load = Promise.all(clients.slice(0, 8).map(async (from) => {
      while (running) {
        const { status } = await ask({ port }, '/upload', { from, body: 'x' })
          .catch((error: NodeJS.ErrnoException) => ({ status: error.code }));
        if (status !== 200) lost.push(status);
      }
    }));
    assert.equal((await cluster.run('reload')).code, 0);
    assert.deepEqual(await slots(), first);
    assert.equal((await cluster.run('scale', ['2'])).code, 0);
    assert.deepEqual((await slots()).map((slot, n) => first[n] === 2 ? 2 : slot), first);
    assert.equal((await cluster.run('scale', ['3'])).code, 0);
    // The slot's socket is there a moment after its worker is ready; until then others take its clients.
    await eventually(async () => isDeepStrictEqual(await slots(), first));
    running = false;
    await load;
    assert.deepEqual(lost, []);

    // The request that dies with its worker is lost, and what comes on a connection that the kernel has not closed yet; those after
    // its end wait for the replacement.
    const victim = clients[first.indexOf(1)] as string;
    const dies = await ask({ port }, '/die', { from: victim, method: 'POST' })
      .catch((error: NodeJS.ErrnoException) => ({ status: error.code }));
    assert.ok(dies.status === 502 || dies.status === 'ECONNRESET', String(dies.status));
    await cluster.waitFor(/was ended by SIGKILL/);
    assert.deepEqual(await slots(), first);
  });
}
