import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

/** What libraries that look for a free port do: `isFree(port, host)` listens for a moment; `freeFrom(port)` asks all hosts. */
const looking = `
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const answer = (text) => http.createServer((request, response) => response.end(text));
const isFree = (port, host, listener) => new Promise((resolve) => {
  const probe = net.createServer(listener);
  probe.unref();
  probe.once('error', ({ code }) => resolve(code !== 'EADDRINUSE')).listen({ port, host }, () => probe.close(() => resolve(true)));
});
const hosts = [undefined, '0.0.0.0', '127.0.0.1', 'localhost', '::', '::1'];
async function freeFrom(port, all = hosts, listener) {
  for (;; port++) {
    let free = true;
    for (const host of all) free &&= await isFree(port, host, listener);
    if (free) return port;
  }
}
const PORT = Number(process.env.PORT);
`;

const apps: Record<string, string> = {
  'looks whether its port is free on each host, and takes it': `${looking}
freeFrom(PORT).then((port) => answer('site').listen(port));`,
  'does that from the narrowest host to the widest': `${looking}
freeFrom(PORT, [...hosts].reverse()).then((port) => answer('site').listen(port));`,
  'looks with a server that has a listener': `${looking}
freeFrom(PORT, hosts, () => {}).then((port) => answer('site').listen(port));`,
  'looks with a server for HTTP, and closes it in a timer': `${looking}
const listen = () => setTimeout(() => answer('site').listen(PORT), 700);
const probe = answer('probe').listen(PORT, () => setTimeout(() => probe.close(listen), 0));`,
  'looks twice with a pause, and boots for a second': `${looking}
freeFrom(PORT).then(() => setTimeout(async () => answer('site').listen(await freeFrom(PORT)), 1_000));`,
  'takes the loopback interface after it has looked at all': `${looking}
freeFrom(PORT).then((port) => answer('site').listen(port, '127.0.0.1'));`,
  'lets a port go that the system chose, and listens there': `${looking}
const probe = net.createServer().listen(0, () => {
  const { port } = probe.address();
  probe.close(() => {
    answer('internal').listen(port, '127.0.0.1');
    answer('site').listen(PORT);
  });
});`,
  'closes its server and listens again': `${looking}
const server = answer('site');
server.listen(PORT, () => server.close(() => setTimeout(() => server.listen(PORT), 500)));`,
};

/** Ports that a process listens on (Linux). */
function listeningSockets(pid: number): number {
  const inodes = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
    } catch {
      return undefined;
    }
  }));
  const lines = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, 'latin1').split('\n').slice(1));
  const sockets = lines.map((line) => line.trim().split(/\s+/));
  return sockets.filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.has(inode)).length;
}

for (const [name, code] of Object.entries(apps)) {
  test(`an app that ${name} gets it, in each worker, and in a reload too`, async (t) => {
    const app = ownApp(t, { 'server.js': code });
    const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
    assert.equal((await get(cluster.url)).text, 'site');
    const begun = performance.now();
    assert.equal((await cluster.run('reload')).code, 0);
    assert.ok(performance.now() - begun < 6_000, 'nobody waits for what only looked');
    assert.equal((await get(cluster.url)).text, 'site');
    const { addresses } = await cluster.status();
    assert.equal(addresses[0], cluster.url);
    assert.doesNotMatch(cluster.output, /WARN|ERROR/);
    if (process.platform === 'linux') assert.equal(listeningSockets(cluster.pid), addresses.length, 'nothing is open that nobody serves');
    assert.equal((await cluster.stop()).code, 0);
  });
}

// Each of the three hosts is bound for a while, and none of the first two lets all addresses be.
const atOnce: Record<string, string> = {
  'the rest is looked at last': "[own, hold('0.0.0.0', 900), hold('::1', 1_200)]",
  'the rest is looked at longest by the one with IPv4': "[own, hold('0.0.0.0', 1_200), hold('::1', 900)]",
  'only one looks, and listens afterwards': "[hold('::1', 300), hold('::1', 300), hold('::1', 300)]",
};

for (const [name, ways] of Object.entries(atOnce)) {
  test(`workers look on different hosts at the same time, and listen on all (${name}): that is what is bound and told`, async (t) => {
    const app = ownApp(t, { 'server.js': `${looking}
const own = () => setTimeout(() => answer('site').listen(PORT), 300);
const hold = (host, ms) => () => {
  const probe = net.createServer().listen(PORT, host, () => setTimeout(() => probe.close(() => answer('site').listen(PORT)), ms));
};
${ways}[process.env.CLUSTER_SLOT]();` });
    const cluster = await startCluster(t, app.dir, { flags: ['-w', '3'] });
    for (const host of ['127.0.0.1', '[::1]']) assert.equal((await get(`http://${host}:${cluster.port}/`)).text, 'site');
    assert.deepEqual((await cluster.status()).addresses, [cluster.url]);
    assert.equal((await cluster.run('reload')).code, 0);
    assert.deepEqual((await cluster.status()).addresses, [cluster.url]);
    assert.doesNotMatch(cluster.output, /WARN|ERROR/);
  });
}
