import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import * as v from 'valibot';
import { schema } from '../../plugins/hosts/options.js';
import { Connection, type RedisClient } from '../../plugins/hosts/redis-connection.js';
import { movedTo, redisPlace, urlFault } from '../../plugins/hosts/redis-url.js';
import { until } from '../helpers/shared-processes.js';

const wrong = (options: object): string[] => {
  const result = v.safeParse(schema, options);
  return result.success ? [] : result.issues.map(({ path: at, message }) => `${at?.map(({ key }) => String(key)).join('.')}: ${message}`);
};

test('options without a word are those of one host', () => {
  assert.deepEqual(v.parse(schema, {}), { url: { env: 'REDIS_URL' }, ttl: 10_000 });
});

test('a wrong option is told with what is allowed, and a URL without what may be its password', () => {
  assert.match(wrong({ url: 'http://me:secret@host' })[0]!, /^url: expected a URL such as redis:\/\/.*, found "http:\/\/\.\.\."$/);
  assert.match(wrong({ url: 'secret@host' })[0]!, /found one without a scheme$/);
  assert.match(wrong({ url: 'redis://:se/cret@host' })[0]!, /found one that cannot be read|found a database/);
  for (const text of ['http://me:secret@host', 'secret@host', 'redis://:se/cret@host', 'redis://host/secret', 'secret:x']) {
    assert.doesNotMatch(wrong({ url: text }).join(), /cret/);
  }
  assert.match(wrong({ url: 5 })[0]!, /^url: expected a URL, \{ env \} or \{ file \}/);
  assert.match(wrong({ ttl: 10 })[0]!, /^ttl: expected 1000 ms or more/);
  assert.match(wrong({ ttl: 1_000.5 })[0]!, /^ttl: expected whole milliseconds/);
  assert.match(wrong({ name: 'a b' })[0]!, /^name: expected printable ASCII/);
  assert.match(wrong({ prefix: 'a b' })[0]!, /^prefix: expected/);
});

test('a URL names a host, or an absolute path of a unix socket', () => {
  for (const good of ['redis://h', 'rediss://u:p@h:1/2', 'redis://[::1]:6379', 'unix:/run/r.sock', 'unix:///run/r.sock']) {
    assert.equal(urlFault(good), undefined, good);
  }
  for (const bad of ['redis:', 'redis://', 'unix:r.sock', 'redis://h/x', 'redis://h:port']) assert.notEqual(urlFault(bad), undefined, bad);
});

test('the URL is read where it stands, anew each time', (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hu-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'url');
  writeFileSync(file, 'redis://one\n');
  assert.deepEqual(redisPlace({ source: { file } }, {}), { url: 'redis://one' });
  writeFileSync(file, 'unix:///run/two.sock\n');
  assert.deepEqual(redisPlace({ source: { file } }, {}), { socket: { path: '/run/two.sock' } });
  assert.deepEqual(redisPlace({ source: { env: 'MINE' } }, { MINE: 'redis://three' }), { url: 'redis://three' });
  const unset = () => redisPlace({ source: { env: 'MINE' } }, {});
  assert.throws(unset, /^Error: the variable MINE is not set: expected the URL of Redis there, or `url`$/);
  assert.throws(() => redisPlace({ source: { file: path.join(dir, 'none') } }, {}), /^Error: the file .*none cannot be read: ENOENT$/);
  assert.throws(() => redisPlace({ source: { env: 'MINE' } }, { MINE: 'secret' }), (error: Error) => !error.message.includes('secret'));
});

test('certificates are read anew as well, and are nothing without TLS', (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hu-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const ca = path.join(dir, 'ca.pem');
  const at = (source: string) => redisPlace({ source, tls: { ca, cert: undefined } }, {});
  assert.throws(() => at('rediss://h'), /^Error: the file .*ca\.pem cannot be read: ENOENT$/);
  writeFileSync(ca, 'one');
  assert.deepEqual(at('rediss://h'), { url: 'rediss://h', socket: { ca: Buffer.from('one') } });
  assert.throws(() => at('redis://h'), /^Error: `tls` needs a URL with rediss:\/\/$/);
});

test('of a cluster it is the node that another one has named, with all else of the URL', () => {
  assert.deepEqual(movedTo('MOVED 3999 127.0.0.1:6381'), { host: '127.0.0.1', port: 6381 });
  assert.deepEqual(movedTo('MOVED 1 ::1:6381'), { host: '::1', port: 6381 });
  assert.deepEqual(movedTo('MOVED 1 ?:6381'), { host: '', port: 6381 });
  assert.equal(movedTo('ERR MOVED 3999 127.0.0.1:6381'), null);
  const at = (text: string) => redisPlace({ source: 'rediss://u:p@h:1/0' }, {}, movedTo(text)).url;
  assert.equal(at('MOVED 1 other:2'), 'rediss://u:p@other:2/0');
  assert.equal(at('MOVED 1 ::1:2'), 'rediss://u:p@[::1]:2/0');
  assert.equal(at('MOVED 1 :2'), 'rediss://u:p@h:2/0');
});

/** A client whose connection and answers are the test's. */
class FakeClient implements RedisClient {
  static made: FakeClient[] = [];
  destroyed = false;
  readonly #listeners: [string, (error?: Error) => void][] = [];

  constructor(readonly connecting: Promise<void>, readonly answer: (args: string[]) => Promise<unknown>) {
    FakeClient.made.push(this);
  }

  connect(): Promise<void> { return this.connecting; }
  sendCommand(args: string[]): Promise<unknown> { return this.answer(args); }
  on(event: 'error' | 'end', listener: (error?: Error) => void): void { this.#listeners.push([event, listener]); }
  destroy(): void { this.destroyed = true; }
  emit(event: string, error?: Error): void { for (const [name, listener] of this.#listeners) if (name === event) listener(error); }
}

function connection(clients: (() => FakeClient)[]) {
  FakeClient.made = [];
  const told: (string | null)[] = [];
  const next = () => (clients.length > 1 ? clients.shift()! : clients[0]!)();
  const one = new Connection({ make: next, patience: 100, changed: (reason) => told.push(reason) });
  return { one, told };
}

const up = (answer: (args: string[]) => Promise<unknown> = async () => 'OK') => () => new FakeClient(Promise.resolve(), answer);
const never = new Promise<never>(() => {});

test('a node of a cluster that names another one is left for that, of which nobody is told; where it is away, for the first', async () => {
  const nodes: unknown[] = [];
  const answers = [
    async () => { throw new Error('MOVED 1 other:2'); }, async () => 0,
    async () => { throw new Error('connect ECONNREFUSED'); }, async () => 0,
  ];
  const told: (string | null)[] = [];
  const one = new Connection({
    make: (node) => {
      nodes.push(node?.host);
      return new FakeClient(Promise.resolve(), answers.shift() ?? (async () => 'OK'));
    },
    probe: ['EXISTS', 'k'], patience: 100, changed: (reason) => told.push(reason),
  });
  await one.up();
  assert.deepEqual([nodes, told], [[undefined, 'other'], [null]]);
  FakeClient.made.at(-1)!.emit('end');
  await until(() => told.length === 3, 'it is there again');
  assert.deepEqual(nodes, [undefined, 'other', 'other', undefined]);
  one.close();
});

test('a connection that fails is made again, which is told once each way', async () => {
  const down = () => new FakeClient(Promise.reject(new Error('connect ECONNREFUSED')), async () => 'OK');
  const { one, told } = connection([down, down, up()]);
  await one.up();
  assert.deepEqual(told, ['connect ECONNREFUSED', null]);
  assert.equal(await one.command(['PING']), 'OK');
  one.close();
});

test('one that does not answer is given up, and another one made', async () => {
  const { one, told } = connection([up(() => never), up()]);
  await one.up();
  await assert.rejects(one.command(['PING']), { code: 'ERR_CLUSTER_HOSTS', message: 'Redis cannot be reached: no answer within 100 ms' });
  await until(() => told.length === 3, 'it is told');
  assert.deepEqual(told, [null, 'no answer within 100 ms', null]);
  assert.equal(FakeClient.made[0]!.destroyed, true);
  assert.equal(await one.command(['PING']), 'OK');
  one.close();
});

test('one that does not even connect is given up', async () => {
  const { one } = connection([() => new FakeClient(never, async () => 'OK'), up()]);
  await one.up();
  assert.equal(FakeClient.made[0]!.destroyed, true);
  one.close();
});

test('while there is none a command fails at once, with the reason', async () => {
  const { one } = connection([() => new FakeClient(Promise.reject(new Error('WRONGPASS invalid')), async () => 'OK')]);
  await until(() => FakeClient.made.length > 1, 'it is tried again');
  await assert.rejects(one.command(['PING']), { code: 'ERR_CLUSTER_HOSTS', message: 'Redis cannot be reached: WRONGPASS invalid' });
  one.close();
});

test('an error of Redis is its answer, but of a server that is not in charge: that is left', async () => {
  const said = ['ERR unknown command', 'READONLY You cannot write against a read only replica.'];
  const { one, told } = connection([up(() => Promise.reject(new Error(said.shift()))), up()]);
  await one.up();
  await assert.rejects(one.command(['X']), { message: 'ERR unknown command' });
  assert.deepEqual(told, [null]);
  await assert.rejects(one.command(['X']), { code: 'ERR_CLUSTER_HOSTS' });
  await until(() => told.length === 3, 'another one is there');
  one.close();
});

test('one that breaks is made again; one that is closed is not', async () => {
  const { one, told } = connection([up()]);
  await one.up();
  FakeClient.made[0]!.emit('error', new Error('read ECONNRESET'));
  await until(() => told.length === 3, 'another one is there');
  one.close();
  await until(() => FakeClient.made.every(({ destroyed }) => destroyed), 'all are gone');
  const { length } = FakeClient.made;
  await new Promise((resolve) => { setTimeout(resolve, 300); });
  assert.equal(FakeClient.made.length, length);
  await one.up();
});
