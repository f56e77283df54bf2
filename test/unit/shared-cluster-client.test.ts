import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';
import { FakeProcesses, until, type FakeProcess } from '../helpers/shared-processes.js';

// Classes as they are written for that package, on its own base classes.
const require = createRequire(import.meta.url);
interface Sdk {
  ready(flag?: unknown): Promise<void>;
  on(event: string, listener: (...args: never[]) => unknown): this;
  emit(event: string, ...args: unknown[]): boolean;
  removeListener(event: string, listener: (...args: never[]) => unknown): this;
  removeAllListeners(event: string): this;
  close(): Promise<void>;
}
type Methods = Record<string, (...args: unknown[]) => Promise<unknown>>;
const Base = require('sdk-base') as new (options?: object) => Sdk;
interface Api extends Sdk { _client: Methods; isClusterClientLeader: boolean }
const { APIClientBase } = require('cluster-client') as { APIClientBase: new (options?: object) => Api };

interface Reg { key: string; value?: unknown }
type Listener = (value: unknown) => void;

class DataClient extends Base {
  static closed = 0;
  readonly values = new Map<string, unknown[]>();
  constructor(readonly given: { start?: unknown } = {}) {
    super();
    this.ready(true);
  }
  subscribe({ key }: Reg, listener: Listener) {
    process.nextTick(() => listener(this.values.get(key) ?? []));
    this.on(`key ${key}`, listener);
  }
  unSubscribe({ key }: Reg, listener: Listener) { this.removeListener(`key ${key}`, listener); }
  publish({ key, value }: Reg) {
    this.values.set(key, [...this.values.get(key) ?? [], value]);
    this.emit(`key ${key}`, this.values.get(key));
  }
  unPublish({ key, value }: Reg) {
    this.values.set(key, (this.values.get(key) ?? []).filter((one) => one !== value));
    this.emit(`key ${key}`, this.values.get(key));
  }
  * echo(text: string): Generator<unknown, unknown> { return yield Promise.resolve(text); }
  async later(text: string) { return `later ${text}`; }
  byCallback(id: number, done: (error: Error | null, value?: number) => void) {
    setImmediate(() => id < 0 ? done(new Error('mock error')) : done(null, id));
  }
  undeclared() { return 'no'; }
  start() { return this.given.start; }
  shout(text: string) { this.emit('foo', text); }
  override async close() { DataClient.closed++; }
}

class ApiClient extends APIClientBase {
  get DataClient() { return DataClient; }
  get delegates() { return { unPublish: 'invokeOneway', byCallback: 'invoke', start: 'invoke', shout: 'invoke' }; }
  get clusterOptions() { return { name: 'api', responseTimeout: 1_000 }; }
  subscribe(...args: unknown[]) { return this._client.subscribe!(...args); }
  unSubscribe(...args: unknown[]) { return this._client.unSubscribe!(...args); }
  publish(...args: unknown[]) { return this._client.publish!(...args); }
  unPublish(...args: unknown[]) { return this._client.unPublish!(...args); }
  async echo(text: string) { return `api ${String(await this._client.echo!(text))}`; }
}

const share = (one: FakeProcess, Class: unknown = ApiClient, options = {}) => one.clients.share(Class, options) as Promise<ApiClient>;

async function two() {
  const world = new FakeProcesses();
  const [leader, follower] = [world.agent(), world.worker(0)];
  return { world, leader, follower, a: await share(leader, ApiClient, { start: 7 }), b: await share(follower, ApiClient, { start: 7 }) };
}

test('an object of the class is given, which leads in one process and follows in the others', async () => {
  const { a, b } = await two();
  assert.ok(a instanceof ApiClient && b instanceof ApiClient);
  assert.deepEqual([a.isClusterClientLeader, b.isClusterClientLeader], [true, false]);
  assert.equal(await a.echo('x'), 'api x');
  assert.equal(await b.echo('y'), 'api y');
  assert.equal(await b._client.later!('z'), 'later z');
  assert.equal(await b._client.start!(), 7);
});

test('what is delegated can be called, with a promise or a callback; what is not cannot', async () => {
  const { a, b } = await two();
  for (const { _client } of [a, b]) {
    assert.equal(await _client.byCallback!(3), 3);
    await assert.rejects(_client.byCallback!(-1), { message: 'mock error' });
    assert.equal(await new Promise((resolve) => { void _client.byCallback!(4, (_: unknown, value: unknown) => resolve(value)); }), 4);
    assert.equal('undeclared' in _client, false);
  }
});

test('publish, subscribe and what takes it back, in both processes', async () => {
  const { a, b } = await two();
  const heard: Record<string, unknown> = {};
  const listenA = (value: unknown) => { heard.a = value; };
  const listenB = (value: unknown) => { heard.b = value; };
  void a.subscribe({ key: 'foo' }, listenA);
  void b.subscribe({ key: 'foo' }, listenB);
  await until(() => heard.a && heard.b, 'both have the first value');
  assert.deepEqual(heard, { a: [], b: [] });
  void b.publish({ key: 'foo', value: 'bar' });
  await until(() => (heard.a as []).length && (heard.b as []).length, 'both have the value');
  assert.deepEqual(heard, { a: ['bar'], b: ['bar'] });
  void b.unPublish({ key: 'foo', value: 'bar' });
  await until(() => !(heard.a as []).length && !(heard.b as []).length, 'it was taken back');
  void a.unSubscribe({ key: 'foo' }, listenA);
  await b.publish({ key: 'foo', value: 'again' });
  await until(() => (heard.b as []).length, 'who is left hears it');
  assert.deepEqual(heard, { a: [], b: ['again'] });
});

test('events of the data client are emitted by the object in each process', async () => {
  const { a, b } = await two();
  const heard: unknown[] = [];
  a.on('foo', (text: unknown) => heard.push(['a', text]));
  b.on('foo', (text: unknown) => heard.push(['b', text]));
  await b._client.shout!('hello');
  await until(() => heard.length === 2, 'both have heard it');
  assert.deepEqual(heard.sort(), [['a', 'hello'], ['b', 'hello']]);
});

test('close is that of the base class, and closes the data client with the last one', async () => {
  DataClient.closed = 0;
  const { a, b } = await two();
  await b.close();
  await b.close();
  assert.equal(DataClient.closed, 0);
  await a.close();
  assert.equal(DataClient.closed, 1);
});

test('a close that is delegated under another name', async () => {
  const files: string[] = [];
  class Data extends Base {
    constructor() { super(); this.ready(true); files.push('made'); }
    destroy() { files.push('destroyed'); }
  }
  class Api extends APIClientBase {
    get DataClient() { return Data; }
    get delegates() { return { destroy: 'close' }; }
    destroy() { return this._client.destroy!(); }
  }
  const api = await new FakeProcesses().agent().clients.share(Api) as Api;
  await api.destroy();
  assert.deepEqual(files, ['made', 'destroyed']);
});

test('a delegate that the data client does not have is an error at once', async () => {
  class Api extends APIClientBase {
    get DataClient() { return DataClient; }
    get delegates() { return { missing: 'invoke' }; }
  }
  await assert.rejects(new FakeProcesses().agent().clients.share(Api),
    { code: 'ERR_CLUSTER_USAGE', message: /DataClient has no method "missing"/ });
});

for (const [what, options, message] of [
  ['a name that is too long', { name: 'x'.repeat(300) }, /a name is a text of 1 to 200 characters/],
  ['a name that is no text', { name: 5 }, /a name is a text/],
  ['an odd time limit', { responseTimeout: Infinity }, /a timeout is a number of milliseconds/],
] as const) {
  test(`clusterOptions with ${what} are refused here, and not by the master`, async () => {
    class Api extends ApiClient { override get clusterOptions() { return options as never; } }
    await assert.rejects(new FakeProcesses().agent().clients.share(Api), { code: 'ERR_CLUSTER_USAGE', message });
  });
}

test('isBroadcast: false gives each value to one of those who are subscribed', async () => {
  class Api extends ApiClient { override get clusterOptions() { return { name: 'one-of', responseTimeout: 1_000, isBroadcast: false }; } }
  const world = new FakeProcesses();
  const apis = [await share(world.agent(), Api), await share(world.worker(0), Api), await share(world.worker(1), Api)];
  const heard: unknown[] = [];
  for (const api of apis) void api.subscribe({ key: 'k' }, (value: unknown) => { if ((value as []).length) heard.push(value); });
  await apis[0]!._client.later!('');
  for (let n = 0; n < 10; n++) await apis[1]!.publish({ key: 'k', value: n });
  await until(() => heard.length >= 10, 'each was given');
  assert.equal(heard.length, 10);
});

test('a transcode of its own turns what is sent to bytes and back', async () => {
  const transcode = {
    encode: (value: unknown) => Buffer.from(JSON.stringify(value) ?? 'null'),
    decode: (bytes: Buffer) => JSON.parse(bytes.toString()) as unknown,
  };
  class Api extends ApiClient { override get clusterOptions() { return { name: 'coded', responseTimeout: 1_000, transcode }; } }
  const world = new FakeProcesses();
  const [a, b] = [await share(world.agent(), Api), await share(world.worker(0), Api)];
  assert.equal(await b.echo('x'), 'api x');
  const heard: unknown[] = [];
  void b.subscribe({ key: 'k' }, (value: unknown) => { if ((value as []).length) heard.push(value); });
  await a.publish({ key: 'k', value: { deep: 1 } });
  await until(() => heard.length > 0, 'it is heard');
  assert.deepEqual(heard, [[{ deep: 1 }]]);
});

test('eleven that subscribe to one key are no leak that Node warns of', async () => {
  const warned: unknown[] = [];
  const listener = (warning: Error) => warned.push(warning.name);
  process.on('warning', listener);
  const { b } = await two();
  for (let n = 0; n < 11; n++) void b.subscribe({ key: 'foo' }, () => {});
  await b._client.later!('');
  process.off('warning', listener);
  assert.deepEqual(warned, []);
});
