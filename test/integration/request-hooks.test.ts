import assert from 'node:assert/strict';
import http2 from 'node:http2';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { RawConnection, requestHead } from '../helpers/raw-client.js';
import { appWith } from '../helpers/worker-parts.js';

const ECHO = `const server = require('node:http').createServer((request, response) => {
  let size = 0;
  request.on('data', (chunk) => { size += chunk.length; });
  request.on('end', () => response.end('app ' + request.url + ' ' + (request.headers['x-seen'] ?? '') + ' ' + size));
});
server.on('upgrade', (request, socket, head) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n' + head);
  socket.pipe(socket);
});
server.listen(process.env.PORT);`;

const PLUGINS = {
  log: `let count = 0;
    runtime.hooks.request.tap('log', (request, response) => {
      request.headers['x-seen'] = String(++count);
      response.on('finish', () => runtime.logger.info('access ' + request.url + ' ' + response.statusCode));
    });`,
  auth: `runtime.hooks.request.tapPromise('auth', async (request, response) => {
      if (request.url.startsWith('/open')) return;
      await new Promise((resolve) => setTimeout(resolve, 30));
      if (request.url.startsWith('/broken')) throw new Error('the directory is away');
      if (request.headers.authorization === 'yes') return;
      response.writeHead(401).end('who are you');
      return true;
    });
    runtime.hooks.upgrade.tapPromise('auth', async (request, socket) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      if (request.headers.authorization === 'yes') return;
      socket.end('HTTP/1.1 401 Unauthorized\\r\\nConnection: close\\r\\n\\r\\n');
      return true;
    });`,
};

test('taps see requests in the order of their plugins, before the app, and may answer them', { timeout: 60_000 }, async (t) => {
  const cluster = await startCluster(t, appWith(t, ECHO, PLUGINS));
  const ask = async (url: string, init?: RequestInit) => {
    const answer = await fetch(cluster.url + url, init);
    return `${answer.status} ${await answer.text()}`;
  };
  assert.equal(await ask('/open'), '200 app /open 1 0');
  assert.equal(await ask('/closed'), '401 who are you');
  const body = 'x'.repeat(300_000);
  assert.equal(await ask('/closed', { method: 'POST', body, headers: { authorization: 'yes' } }), '200 app /closed 3 300000');
  assert.equal(await ask('/broken'), '500 Internal Server Error');
  await cluster.waitFor(/ERROR .*\[worker#0\] plugin "auth" failed at a request\nError: the directory is away/);
  assert.equal(await ask('/open'), '200 app /open 5 0');
  await cluster.waitFor(/access \/open 200[^]*access \/closed 401[^]*access \/closed 200[^]*access \/broken 500[^]*access \/open 200/);
});

test('what the app throws at a request is its own, as without taps', { timeout: 60_000 }, async (t) => {
  const app = `require('node:http').createServer((request, response) => {
    if (request.url.endsWith('throw')) throw new Error('boom at ' + request.url);
    response.end('up');
  }).listen(process.env.PORT);`;
  const cluster = await startCluster(t, appWith(t, app, PLUGINS));
  // At once, and after a tap that thinks.
  for (const [n, url] of ['/open/throw', '/closed/throw'].entries()) {
    // Nobody answers it: its worker is away 30 s later, its replacement is there at once.
    void fetch(cluster.url + url, { headers: { authorization: 'yes' } }).catch(() => {});
    await cluster.waitFor(new RegExp(`Error: boom at ${url}\n +at .*app\\.cjs`));
    await cluster.waitFor(new RegExp(`app_worker#${n + 2}:\\d+ \\(slot 0\\) started`));
  }
  assert.doesNotMatch(cluster.output, /failed at a request/);
});

test('what is refused is not sent: 100-continue waits for the taps', { timeout: 60_000 }, async (t) => {
  const cluster = await startCluster(t, appWith(t, ECHO, PLUGINS));
  const upload = (headers: string[]) => {
    const connection = new RawConnection({ port: cluster.port });
    t.after(() => connection.destroy());
    const told = new Promise<string>((resolve) => connection.socket.once('data', (chunk: Buffer) => resolve(chunk.toString())));
    const head = ['POST /closed HTTP/1.1', 'Host: x', 'Expect: 100-continue', 'Content-Length: 4', ...headers, '', ''];
    connection.socket.write(head.join('\r\n'));
    return { connection, told };
  };
  assert.match(await upload([]).told, /^HTTP\/1\.1 401 /);
  const { connection, told } = upload(['Authorization: yes']);
  assert.match(await told, /^HTTP\/1\.1 100 Continue/);
  const answer = new Promise<string>((resolve) => connection.socket.once('data', (chunk: Buffer) => resolve(chunk.toString())));
  connection.socket.write('body');
  assert.match(await answer, /^HTTP\/1\.1 200 [^]*app \/closed \d 4/);
});

test('upgrades go through their taps; one that nobody stops reaches the app with all its bytes', { timeout: 60_000 }, async (t) => {
  const cluster = await startCluster(t, appWith(t, ECHO, PLUGINS));
  const upgrade = async (headers: string[], bytes: string) => {
    const connection = new RawConnection({ port: cluster.port });
    t.after(() => connection.destroy());
    let seen = '';
    const whole = new Promise<string>((resolve) => {
      connection.socket.on('data', (chunk: Buffer) => {
        seen += chunk.toString();
        if (/401 Unauthorized|one two/.test(seen)) resolve(seen);
      });
    });
    const head = ['GET /ws HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: echo', ...headers, '', ''];
    connection.socket.write(head.join('\r\n') + bytes);
    setTimeout(() => connection.socket.write(' two'), 10);
    return whole;
  };
  assert.match(await upgrade([], 'one'), /^HTTP\/1\.1 401/);
  assert.match(await upgrade(['Authorization: yes'], 'one'), /^HTTP\/1\.1 101 [^]*one two$/);
});

test('HTTP/2 requests as well, and a client that leaves while a tap thinks troubles nobody', { timeout: 60_000 }, async (t) => {
  const app = `require('node:http2').createServer((request, response) => response.end('app ' + request.url)).listen(process.env.PORT);`;
  const cluster = await startCluster(t, appWith(t, app, PLUGINS));
  const client = http2.connect(cluster.url).on('error', () => {});
  t.after(() => client.destroy());
  const ask = (headers: http2.OutgoingHttpHeaders) => new Promise<string>((resolve, reject) => {
    let text = '';
    const stream = client.request(headers);
    stream.on('response', (answer) => { text = `${answer[':status']} `; });
    stream.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    stream.on('end', () => resolve(text)).on('error', reject);
  });
  assert.equal(await ask({ ':path': '/open' }), '200 app /open');
  assert.equal(await ask({ ':path': '/closed' }), '401 who are you');
  client.request({ ':path': '/closed' }).on('error', () => {}).close(http2.constants.NGHTTP2_CANCEL);
  assert.equal(await ask({ ':path': '/closed', authorization: 'yes' }), '200 app /closed');
  assert.doesNotMatch(cluster.output, /ERROR/);
  // Before the cluster goes, whose end would be an error of its.
  client.destroy();
});

test('an app that serves HTTP/2 streams itself is guarded too, and has them as they came', { timeout: 60_000 }, async (t) => {
  const app = `require('node:http2').createServer().on('stream', (stream, headers) => {
    let body = '';
    stream.setEncoding('utf8').on('data', (text) => { body += text; }).on('end', () => {
      stream.respond({ ':status': 203, 'x-app': '1' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end('stream ' + headers[':path'] + ' ' + headers['x-seen'] + ' ' + body);
    });
  }).listen(process.env.PORT);`;
  const cluster = await startCluster(t, appWith(t, app, {
    ...PLUGINS, slot: "runtime.hooks.request.tap('slot', (request, response) => { response.setHeader('x-slot', runtime.slot); });",
  }));
  const session = http2.connect(cluster.url).on('error', () => {});
  t.after(() => session.destroy());
  const ask = (url: string, headers: Record<string, string> = {}) => new Promise<string>((resolve, reject) => {
    const call = session.request({ ':path': url, ':method': 'POST', ...headers });
    const told: unknown[] = [];
    call.on('response', (got) => told.push(got[':status'], got['x-app'], got['x-slot']));
    call.on('trailers', (got) => told.push(got['grpc-status']));
    call.setEncoding('utf8').on('data', (text) => told.push(text)).on('end', () => resolve(told.join(' '))).on('error', reject);
    call.end('body');
  });
  assert.equal(await ask('/open'), '203 1 0 stream /open 1 body 0');
  assert.equal(await ask('/closed'), '401   who are you');
  assert.equal(await ask('/broken'), '500   Internal Server Error');
  assert.equal(await ask('/closed', { authorization: 'yes' }), '203 1 0 stream /closed 4 body 0');
  await cluster.waitFor(/access \/open 203[^]*access \/closed 401[^]*access \/broken 500[^]*access \/closed 203/);
  session.destroy();
});

test('a draining worker answers what a tap still thinks about', { timeout: 60_000 }, async (t) => {
  const cluster = await startCluster(t, appWith(t, ECHO, {
    slow: `runtime.hooks.request.tapPromise('slow', async () => {
      runtime.logger.info('thinking');
      await new Promise((resolve) => setTimeout(resolve, 600));
    });`,
  }));
  const connection = new RawConnection({ port: cluster.port });
  t.after(() => connection.destroy());
  const answer = connection.send(requestHead('GET', '/late'), ['GET'], 10_000)[0]!;
  await cluster.waitFor(/thinking/);
  const [{ body }, { code }] = await Promise.all([answer, cluster.stop()]);
  assert.match(body.toString(), /^app \/late/);
  assert.equal(code, 0);
});

test('nobody comes past the taps: with another expectation, or by CONNECT', { timeout: 60_000 }, async (t) => {
  const app = `const server = require('node:http').createServer((request, response) => response.end('app'));
  server.on('checkExpectation', (request, response) => response.end('app expects'));
  server.on('connect', (request, socket) => socket.end('HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\napp'));
  server.listen(process.env.PORT);`;
  const cluster = await startCluster(t, appWith(t, app, PLUGINS));
  const ask = (head: string[]) => new Promise<string>((resolve) => {
    const connection = new RawConnection({ port: cluster.port });
    t.after(() => connection.destroy());
    let seen = '';
    connection.socket.on('data', (chunk: Buffer) => { seen += chunk.toString(); });
    connection.socket.on('close', () => resolve(seen));
    connection.socket.write([...head, 'Host: x', 'Connection: close', '', ''].join('\r\n'));
  });
  const expecting = ['GET /closed HTTP/1.1', 'Expect: a miracle'];
  assert.match(await ask(expecting), /^HTTP\/1\.1 401 /);
  assert.match(await ask([...expecting, 'Authorization: yes']), /^HTTP\/1\.1 200 [^]*app expects/);
  assert.match(await ask(['CONNECT x:1 HTTP/1.1']), /^HTTP\/1\.1 401 /);
  assert.match(await ask(['CONNECT x:1 HTTP/1.1', 'Authorization: yes']), /^HTTP\/1\.1 200 [^]*app$/);
});

test('taps run by their stage, then in the order of their plugins', { timeout: 60_000 }, async (t) => {
  const says = (name: string, tap: string) =>
    `runtime.hooks.request.tap(${tap}, (request) => { request.headers['x-seen'] = (request.headers['x-seen'] ?? '') + '${name}'; });`;
  const cluster = await startCluster(t, appWith(t, ECHO, {
    one: says('1', "'one'"), last: says('L', "{ name: 'last', stage: 10 }"), two: says('2', "{ name: 'two' }"),
    first: says('F', "{ name: 'first', stage: -10 }"),
  }));
  assert.equal(await (await fetch(`${cluster.url}/`)).text(), 'app / F12L 0');
});
