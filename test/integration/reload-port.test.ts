import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { freePort, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { skip as reusePort } from '../helpers/reuse-port.js';

/** Listens on the port that the configuration says; `after` comes then. */
const server = (after = '') => `require('node:http').createServer((_, response) => response.end('ok')).listen(process.env.PORT);\n${after}`;

const refuses = (port: number): Promise<boolean> => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1');
  socket.once('connect', () => {
    socket.destroy();
    resolve(false);
  }).once('error', () => resolve(true));
});

for (const balance of ['round-robin', 'os', 'reuse-port']) {
  const skip = balance === 'reuse-port' && reusePort;
  test(`balance "${balance}": a reload to another port lets the old one go, also when a slot was not ready then`, { skip }, async (t) => {
    const [old, port] = [await freePort(), await freePort()];
    const app = ownApp(t, { 'server.js': server(), '.clusterrc': { port: old, balance } });
    const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'], port: false });
    app.write('.clusterrc', { port, balance });
    // Slot 0 dies while slot 1 is still on its way, and comes again.
    app.write('server.js', `
const fs = require('node:fs');
const died = __dirname + '/died';
const slot = process.env.CLUSTER_SLOT;
const listen = () => { ${server()} };
if (slot === '1') setTimeout(listen, 400);
else listen();
if (slot === '0' && !fs.existsSync(died)) setTimeout(() => { fs.writeFileSync(died, ''); process.exit(1); }, 300);`);
    assert.equal((await cluster.run('reload')).code, 0);
    await eventually(async () => (await cluster.status()).state === 'running');
    await eventually(() => refuses(old));
    assert.equal((await get(`http://127.0.0.1:${port}/`)).text, 'ok');
  });

  test(`balance "${balance}": an aborted reload leaves no port behind where nobody listens`, { skip }, async (t) => {
    const [old, port] = [await freePort(), await freePort()];
    const reload = { soak: 1_000 };
    const app = ownApp(t, { 'server.js': server(), '.clusterrc': { port: old, balance, reload } });
    const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'], port: false });
    app.write('.clusterrc', { port, balance, reload });
    app.write('server.js', server('setTimeout(() => process.exit(1), 200);'));
    assert.equal((await cluster.run('reload')).code, 1);
    await eventually(() => refuses(port));
    assert.equal((await get(`http://127.0.0.1:${old}/`)).text, 'ok');
  });
}
