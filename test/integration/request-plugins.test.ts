import assert from 'node:assert/strict';
import http2 from 'node:http2';
import test from 'node:test';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { RawConnection } from '../helpers/raw-client.js';
import { appWith } from '../helpers/worker-parts.js';

/** As somebody who has read docs/hooks.md writes them: each stacks with the others, and is for HTTP/1, HTTP/2, uploads and upgrades. */
const PLUGINS = {
  log: `const log = (request, end) => runtime.logger.info('access ' + request.method + ' ' + request.url + ' ' + end());
    runtime.hooks.request.tap('log', (request, response) => {
      response.once('close', () => log(request, () => response.writableFinished ? response.statusCode : 'aborted'));
    });
    runtime.hooks.upgrade.tap('log', (request, socket) => { socket.once('close', () => log(request, () => 'closed')); });`,
  timeout: `runtime.hooks.request.tap('timeout', (request, response) => {
      const timer = setTimeout(() => {
        if (response.headersSent) return response.destroy();
        response.writeHead(504).end('too slow');
        // What the app says from now on is too late, and no error of its.
        const too = () => response;
        Object.assign(response, { setHeader: too, writeHead: too, write: () => true, end: too });
      }, 400);
      response.once('close', () => clearTimeout(timer));
    });`,
  shed: `let underWay = 0;
    runtime.hooks.request.tap('shed', (request, response) => {
      if (underWay >= 2) {
        response.writeHead(503, { 'retry-after': '1' }).end('busy');
        return true;
      }
      underWay++;
      response.once('close', () => { underWay--; });
    });`,
  limit: `const seen = new Map();
    const isOver = ({ headers: { 'x-client': client } }) => {
      seen.set(client, (seen.get(client) ?? 0) + 1);
      return client !== undefined && seen.get(client) > 3;
    };
    runtime.hooks.request.tap('limit', (request, response) => {
      if (!isOver(request)) return;
      response.writeHead(429).end('slow down');
      return true;
    });
    runtime.hooks.upgrade.tap('limit', (request, socket) => {
      if (!isOver(request)) return;
      socket.end('HTTP/1.1 429 Too Many Requests\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n');
      return true;
    });`,
  auth: `const users = new Map([['Bearer a', 'anna'], ['Bearer b', 'bert']]);
    const whoIs = async ({ headers }) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      delete headers['x-user'];
      const user = users.get(headers.authorization);
      if (user) headers['x-user'] = user;
      return user !== undefined;
    };
    runtime.hooks.request.tapPromise('auth', async (request, response) => {
      if (await whoIs(request)) return;
      response.writeHead(401, { 'www-authenticate': 'Bearer' }).end('who are you');
      return true;
    });
    runtime.hooks.upgrade.tapPromise('auth', async (request, socket) => {
      if (await whoIs(request)) return;
      socket.end('HTTP/1.1 401 Unauthorized\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n');
      return true;
    });`,
  ab: `const give = ({ headers }) => (headers['x-variant'] = headers['x-user'] === 'anna' ? 'A' : 'B');
    runtime.hooks.request.tap('ab', (request, response) => { response.setHeader('x-variant', give(request)); });
    runtime.hooks.upgrade.tap('ab', (request) => { give(request); });`,
};

/** What it says of a request. */
const TELL = `const tell = (url, headers, body) => [url, headers['x-user'], headers['x-variant'], body].join(' ');`;
const APPS: Record<string, string> = {
  'HTTP/1': `${TELL}
    const server = require('node:http').createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => { body += chunk; });
      request.on('end', () => setTimeout(() => {
        const text = tell(request.url, request.headers, body);
        response.setHeader('content-type', 'text/plain');
        response.writeHead(200, { 'content-length': text.length }).end(text);
      }, request.url === '/slow' ? 600 : 0));
    });
    server.on('upgrade', (request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: x\\r\\n\\r\\n');
      socket.end(tell(request.url, request.headers, ''));
    });
    server.listen(process.env.PORT);`,
  'HTTP/2': `${TELL}
    require('node:http2').createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => { body += chunk; });
      request.on('end', () => setTimeout(() => {
        response.setHeader('content-type', 'text/plain');
        response.writeHead(200).end(tell(request.url, request.headers, body));
      }, request.url === '/slow' ? 600 : 0));
    }).listen(process.env.PORT);`,
  'HTTP/2 streams': `${TELL}
    require('node:http2').createServer().on('stream', (stream, headers) => {
      let body = '';
      if (headers.expect) stream.additionalHeaders({ ':status': 100 });
      stream.on('data', (chunk) => { body += chunk; }).on('error', () => {});
      stream.on('end', () => setTimeout(() => {
        if (stream.destroyed || stream.headersSent) return;
        stream.respond({ ':status': 200 });
        stream.end(tell(headers[':path'], headers, body));
      }, headers[':path'] === '/slow' ? 600 : 0));
    }).listen(process.env.PORT);`,
};

type Ask = (path: string, headers?: Record<string, string>, body?: string) => Promise<string>;

/** Status, variant and text of an answer; a body waits for 100-continue. */
function overHttp2(t: { after(then: () => void): void }, { url }: TestCluster): Ask {
  const session = http2.connect(url).on('error', () => {});
  t.after(() => session.destroy());
  return (path, headers = {}, body) => new Promise((resolve, reject) => {
    const call = session.request({ ':path': path, ...headers, ...(body ? { ':method': 'POST', expect: '100-continue' } : {}) });
    const told: unknown[] = [];
    let text = '';
    call.on('continue', () => { told.push(100); call.end(body); });
    call.on('response', (got) => told.push(got[':status'], ...[got['x-variant'] ?? []].flat()));
    call.setEncoding('utf8').on('data', (chunk) => { text += String(chunk); }).on('end', () => resolve([...told, text].join(' ')));
    call.on('error', reject);
    if (!body) call.end();
  });
}

function overHttp1(t: { after(then: () => void): void }, { port }: TestCluster, more: string[] = ['Connection: close']): Ask {
  return (path, headers = {}, body) => new Promise((resolve) => {
    const connection = new RawConnection({ port });
    t.after(() => connection.destroy());
    let seen = '';
    let isSent = false;
    connection.socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (body && !isSent && /^HTTP\S+ 100/.test(seen)) isSent = connection.socket.write(body);
    });
    connection.socket.on('close', () => {
      const all = [...seen.matchAll(/HTTP\S+ (\d+)/g)].map(([, status]) => status);
      const variant = /^x-variant: (.*)\r$/im.exec(seen)?.[1];
      const last = seen.slice(seen.lastIndexOf('HTTP/1.1'));
      const text = last.slice(last.indexOf('\r\n\r\n') + 4).replace(/^[0-9a-f]+\r\n([^]*)\r\n0\r\n\r\n$/, '$1');
      resolve([...all, ...(variant ? [variant] : []), text].join(' '));
    });
    const own = body ? ['Expect: 100-continue', `Content-Length: ${body.length}`] : [];
    const lines = [`${body ? 'POST' : 'GET'} ${path} HTTP/1.1`, 'Host: x', ...more, ...own,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), '', ''];
    connection.socket.write(lines.join('\r\n'));
  });
}

for (const [name, app] of Object.entries(APPS)) {
  test(`access log, time-out, load shedder, limiter, authentication and A/B, a plugin each: ${name}`, { timeout: 60_000 }, async (t) => {
    const cluster = await startCluster(t, appWith(t, app, PLUGINS));
    const ask = name === 'HTTP/1' ? overHttp1(t, cluster) : overHttp2(t, cluster);
    const [anna, bert] = [{ authorization: 'Bearer a' }, { authorization: 'Bearer b' }];
    // An app of streams says "100 Continue" itself, as without taps.
    assert.equal(await ask('/up', anna, 'body'), '100 200 A /up anna A body');
    assert.equal(await ask('/', bert), '200 B / bert B ');
    assert.equal(await ask('/who', { 'x-user': 'anna' }), '401 who are you');
    assert.equal(await ask('/who', {}, 'body'), '401 who are you');
    const many = await Promise.all([1, 2, 3, 4, 5].map(async () => (await ask('/', { ...anna, 'x-client': 'c' })).slice(0, 3)));
    assert.ok(many.includes('503') && !many.includes('429'), many.join());
    const rest = [];
    for (let n = 0; n < 4; n++) rest.push((await ask('/', { ...anna, 'x-client': 'c' })).slice(0, 3));
    assert.ok(rest.includes('429'), rest.join());
    assert.match(await ask('/slow', anna), /^504 .*too slow$/);
    await cluster.waitFor(/access POST \/up 200[^]*access GET \/ 200[^]*access GET \/who 401[^]*access GET \/slow 504/);
    if (name === 'HTTP/1') {
      const upgrade = overHttp1(t, cluster, ['Connection: Upgrade', 'Upgrade: x']);
      assert.equal(await upgrade('/ws', anna), '101 /ws anna A ');
      assert.equal(await upgrade('/ws'), '401 ');
      for (let n = 0; n < 3; n++) await upgrade('/ws', { ...anna, 'x-client': 'u' });
      assert.equal(await upgrade('/ws', { ...anna, 'x-client': 'u' }), '429 ');
      await cluster.waitFor(/access GET \/ws closed/);
    }
    // The app's late answer was no error.
    assert.doesNotMatch(cluster.output, /ERROR|uncaught/);
    assert.equal(await ask('/', bert), '200 B / bert B ');
  });
}
