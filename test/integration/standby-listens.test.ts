import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { slowly, waits, who } from '../helpers/standby.js';

/** One worker of this app; it is killed, and the one that waited answers in its place, once it is adopted and not before. */
async function adopts(t: TestContext, files: Record<string, string | object>, config: object = {}) {
  const { dir } = ownApp(t, { '.clusterrc': { standby: 1, ...config }, ...files });
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'] });
  const spare = await waits(cluster);
  const { workers: [first] } = await cluster.status();
  process.kill(first!.pid, 'SIGKILL');
  await cluster.waitFor(/slot 0\) was ended by SIGKILL/);
  const answer = await get(cluster.url);
  assert.deepEqual(answer.json, { pid: spare.pid, slot: '0' }, cluster.output);
  return { cluster, spare };
}

test('a request listener that is exported', async (t) => {
  await adopts(t, { 'app.js': `${slowly} module.exports = ${who};` });
});

test('a function of the context, which knows its slot from its adoption on', async (t) => {
  const { cluster, spare } = await adopts(t, { 'app.mjs': `${slowly}
    export default async (context) => {
      console.log('given', process.pid, context.slot);
      const server = (await import('node:http')).createServer(${who});
      server.on('listening', () => { console.log('listening', process.pid, context.slot); context.logger.info('here'); });
      return server;
    };` });
  await cluster.waitFor(new RegExp(`INFO ${spare.pid} \\[worker#0\\] here`));
  await cluster.waitFor(new RegExp(`given ${spare.pid} -1\n`));
  await cluster.waitFor(new RegExp(`listening ${spare.pid} 0\n`));
});

test('a module that waits for its own listen goes on when that comes', async (t) => {
  const { cluster, spare } = await adopts(t, { 'app.mjs': `${slowly}
    import http from 'node:http';
    import { once } from 'node:events';
    const server = http.createServer(${who}).listen(process.env.PORT);
    await once(server, 'listening');
    console.log('went on', process.pid, process.env.CLUSTER_SLOT);` });
  await cluster.waitFor(new RegExp(`went on ${spare.pid} 0\n`));
});

test('one that listens once its database is there has not loaded before', async (t) => {
  const { cluster, spare } = await adopts(t, { 'app.js': `
    const http = require('node:http');
    http.createServer((request, response) => response.end('metrics')).listen(Number(process.env.PORT) + 1);
    setTimeout(() => {
      console.log('connected', process.pid);
      http.createServer(${who}).listen(process.env.PORT);
    }, 700);` });
  await cluster.waitFor(new RegExp(`connected ${spare.pid}\n(?:.*\n)*?.*:${spare.pid} \\(standby\\) stands by`));
});

test('one that exports a listener, and listens by itself later, has one server on its port', async (t) => {
  const { cluster } = await adopts(t, { 'app.js': `${slowly}
    const listener = ${who};
    module.exports = listener;
    const own = () => require('node:http').createServer(listener).listen(process.env.PORT, () => console.log('own server', process.pid));
    setTimeout(own, 100);` });
  await cluster.waitFor(/own server \d+\n(?:.*\n)*.*own server/);
  assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await cluster.status()).state, 'running');
});

test('who looks whether a port is free learns it as it loads', async (t) => {
  await adopts(t, { 'app.mjs': `
    import net from 'node:net';
    import http from 'node:http';
    const free = await new Promise((resolve) => {
      const probe = net.createServer().listen(0, () => { const { port } = probe.address(); probe.close(() => resolve(port)); });
    });
    console.log('free', process.pid, free > 0);
    ${slowly}
    http.createServer(${who}).listen(process.env.PORT);` });
});

test('a server that is closed before it could listen does not come back', async (t) => {
  const { cluster, spare } = await adopts(t, { 'app.js': `${slowly}
    const http = require('node:http');
    const tried = http.createServer(() => {}).listen(Number(process.env.PORT) + 1, () => console.log('tried', process.pid));
    setImmediate(() => tried.close(() => console.log('closed', process.pid)));
    http.createServer(${who}).listen(process.env.PORT);` });
  await cluster.waitFor(new RegExp(`closed ${spare.pid}\n`));
  assert.doesNotMatch(cluster.output, new RegExp(`tried ${spare.pid}\n`));
});

test('a framework, whose server is met before the adoption and listens after it', async (t) => {
  const { cluster, spare } = await adopts(t, { 'app.js': '', 'framework.js': `
    const { EventEmitter } = require('node:events');
    class Part extends EventEmitter {
      ready(then) { setTimeout(then, 300); }
      close() {}
    }
    exports.Agent = Part;
    exports.Application = class extends Part {
      constructor() {
        super();
        this.on('server', (server) => {
          console.log('met', process.pid, process.env.CLUSTER_SLOT);
          server.on('listening', () => console.log('listens', process.pid, process.env.CLUSTER_SLOT));
        });
      }
      callback() { return ${who}; }
    };` }, { framework: './framework.js' });
  await cluster.waitFor(new RegExp(`met ${spare.pid} undefined\n`));
  await cluster.waitFor(new RegExp(`listens ${spare.pid} 0\n`));
});

test('one that hears a broadcast as it waits, and answers nobody who asks any worker', async (t) => {
  const { dir } = ownApp(t, { '.clusterrc': { standby: 1, agent: true }, 'app.js': `${slowly}
    module.exports = (context) => {
      const heard = [];
      context.messenger.on('news', (data) => { heard.push(data); });
      context.messenger.on('ask', () => process.pid);
      return require('node:http').createServer(async (request, response) => {
        if (request.url === '/tell') context.messenger.sendToApp('news', 'told');
        const asked = request.url === '/ask' ? await context.messenger.request('app', 'ask') : undefined;
        response.end(JSON.stringify({ pid: process.pid, heard, asked }));
      });
    };` });
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'] });
  const spare = await waits(cluster);
  await get(`${cluster.url}/tell`);
  for (let n = 0; n < 20; n++) assert.notEqual((await get(`${cluster.url}/ask`)).json.asked, spare.pid);
  await eventually(async () => ((await get(cluster.url)).json.heard as string[]).length > 0);
  process.kill((await cluster.status()).workers[0]!.pid, 'SIGKILL');
  await cluster.waitFor(/slot 0\) was ended by SIGKILL/);
  const { json } = await get(`${cluster.url}/ask`);
  assert.deepEqual(json, { pid: spare.pid, heard: ['told'], asked: spare.pid });
});
