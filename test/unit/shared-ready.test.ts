import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';
import { Clients } from '../../plugins/shared-clients/clients.js';
import type { Answer, Leading } from '../../plugins/shared-clients/messages.js';
import { FakeProcesses, leaderOf, turn, until } from '../helpers/shared-processes.js';

interface Base { close(): Promise<void> }
type Shared = Record<string, (...args: unknown[]) => Promise<unknown>>;
class DownError extends Error {}
const down = () => Object.assign(
  new DownError('the database is down', { cause: new RangeError('no route') }), { code: 'E_DOWN', tries: 3n });

test('it is shared when the real client is ready: a promise, a method that gives one, one that takes a callback', async () => {
  let done = 0;
  const later = (then: () => void) => setTimeout(() => { done++; then(); }, 20);
  class ByPromise { readonly ready = new Promise<void>((resolve) => later(resolve)); }
  class ByMethod { ready() { return new Promise<void>((resolve) => later(resolve)); } }
  class ByCallback { ready(then: () => void) { later(then); } }
  for (const Class of [ByPromise, ByMethod, ByCallback]) {
    const before = done;
    await new FakeProcesses().agent().clients.share(Class);
    assert.equal(done, before + 1, Class.name);
  }
});

for (const [how, Class] of Object.entries({
  constructor: class { constructor() { throw down(); } },
  callback: class { ready(then: (error: Error) => void) { setImmediate(() => then(down())); } },
  promise: class { async ready() { throw down(); } },
})) {
  test(`a real client that fails in its ${how}: all who share it then get its error, whole`, async () => {
    const world = new FakeProcesses();
    const processes = [world.agent('booting'), world.worker(0, 'booting'), world.worker(1, 'booting')];
    const all = processes.map((one) => one.clients.share(Class, { name: 'db' }));
    for (const one of all) {
      await assert.rejects(one, (error: Error) => {
        assert.equal((error.cause as Error).message, 'no route');
        const { name, message, code, tries } = error as Error & { code: string; tries: bigint };
        assert.deepEqual([name, message, code, tries], ['DownError', 'the database is down', 'E_DOWN', 3n]);
        return true;
      });
    }
  });
}

test('after a failure the next who shares it begins anew', async () => {
  let fails = true;
  class Db { constructor() { if (fails) throw down(); } ping() { return 'pong'; } }
  const world = new FakeProcesses();
  const worker = world.worker(0);
  await assert.rejects(worker.clients.share(Db), { code: 'E_DOWN' });
  fails = false;
  const client = await worker.clients.share(Db) as Shared;
  assert.equal(await client.ping!(), 'pong');
});

test('calls that were made before it failed, and after, reject with its error; one-way calls are silent', async () => {
  const { APIClientBase } = createRequire(import.meta.url)('cluster-client') as { APIClientBase: new (options: object) => Base };
  class Db {
    ready(then: (error: Error) => void) { setTimeout(() => then(down()), 10); }
    async get() { return 1; }
    send() {}
  }
  class Api extends APIClientBase {
    get DataClient() { return Db; }
    get delegates() { return { send: 'invokeOneway' }; }
    get clusterOptions() { return { name: 'ready-error' }; }
  }
  let api!: Api & { _client: Shared };
  class Kept extends Api {
    constructor(options: object) {
      super(options);
      api = this as never;
    }
  }
  const shared = new FakeProcesses().worker(0).clients.share(Kept);
  await until(() => api, 'it is made');
  const early = api._client.get!();
  void api._client.send!(1);
  await assert.rejects(shared, { code: 'E_DOWN' });
  await assert.rejects(early, { code: 'E_DOWN' });
  void api._client.send!(2);
  await assert.rejects(api._client.get!(), { code: 'E_DOWN' });
  await api.close();
  await api.close();
});

test('a follower may come long before there is anybody who can lead', async () => {
  class Db { ping() { return process.pid; } }
  const world = new FakeProcesses();
  const follower = world.worker(0);
  const waiting = follower.clients.share('Db') as Promise<Shared>;
  await new Promise((resolve) => { setTimeout(resolve, 100); });
  await world.agent().clients.share(Db);
  const client = await waiting;
  assert.equal(await client.ping!(), process.pid);
});

test('one that knows the name alone has what the leader has, and never leads', async () => {
  class Db {
    ping() { return 'pong'; }
    subscribe() {}
  }
  const world = new FakeProcesses();
  const [named, worker] = [world.worker(0), world.worker(1)];
  const waiting = named.clients.share('Db') as Promise<Shared>;
  await worker.clients.share(Db);
  const client = await waiting;
  assert.equal(await client.ping!(), 'pong');
  assert.equal(typeof client.subscribe, 'function');
  assert.equal('publish' in client, false);
  assert.equal(leaderOf('Db', world.processes), worker.pid);
});

test('a real client that cannot be made where another process leads leaves that leading, and is tried again', async () => {
  let tries = 0;
  class Db { ping() { return 'pong'; } }
  class Fails extends Db { constructor() { super(); if (++tries < 3) throw down(); } }
  const world = new FakeProcesses();
  const [worker, agent] = [world.worker(0), world.agent()];
  const client = await worker.clients.share(Db, { name: 'db' }) as Shared;
  await agent.clients.share(Fails, { name: 'db' });
  await until(() => tries > 0, 'the agent has tried');
  assert.equal(await client.ping!(), 'pong');
  await until(() => leaderOf('db', world.processes) === agent.pid, 'the agent leads');
  assert.equal(tries, 3);
});

test('who leads is told before the answer to who joins is heard, which was older: a client has its leader all the same', async () => {
  let answer!: (leading: Leading) => void;
  const asked: number[] = [];
  const clients = new Clients({
    arbiter: { join: () => new Promise((resolve) => { answer = resolve; }), leave: async () => {} },
    post: {
      pid: 1, tell: () => true, room: async () => {}, call: () => {},
      ask: async (pid): Promise<Answer> => {
        asked.push(pid);
        return [{ calls: [], topics: false, publishes: false }];
      },
    },
    warn: () => {},
  });
  const shared = clients.share('Registry');
  await turn();
  clients.member('Registry')!.leading({ name: 'Registry', term: 1, pid: 7 });
  // While it was made, nobody led.
  answer({ name: 'Registry', term: 1, pid: null });
  await shared;
  assert.equal(asked[0], 7);
});
