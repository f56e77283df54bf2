import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import test from 'node:test';
import { single } from '../../plugins/shared-clients/clients.js';

class Store extends EventEmitter {
  static made = 0;
  static closed = 0;
  readonly values = new Map<string, unknown>();
  constructor() {
    super();
    Store.made++;
  }
  get(key: string) { return this.values.get(key); }
  subscribe(key: string, listener: (value: unknown) => void) { this.on(`key ${key}`, listener); }
  unsubscribe(key: string, listener: (value: unknown) => void) { this.off(`key ${key}`, listener); }
  publish(key: string, value: unknown) {
    this.values.set(key, value);
    this.emit(`key ${key}`, value);
  }
  fails() { throw new RangeError('too far', { cause: new Error('why') }); }
  close() { Store.closed++; }
}

type Shared = Record<string, (...args: unknown[]) => Promise<unknown>>;

test('without a cluster all that share a client in one process share one real one', async () => {
  const clients = single();
  const [a, b] = [await clients.share(Store) as Shared, await clients.share(Store) as Shared];
  const heard: unknown[] = [];
  b.subscribe!('k', (value: unknown) => heard.push(value));
  await a.publish!('k', { n: 1 });
  assert.deepEqual(await b.get!('k'), { n: 1 });
  assert.deepEqual(heard, [{ n: 1 }]);
  assert.equal(Store.made, 1);
  await a.close!();
  assert.equal(Store.closed, 0);
  await b.close!();
  assert.equal(Store.closed, 1);
});

test('its errors keep their class, and what could not cross a border is refused as it would be there', async () => {
  const client = await single().share(Store) as Shared;
  await assert.rejects(client.fails!(), (error: Error) => error instanceof RangeError && (error.cause as Error).message === 'why');
  await assert.rejects(client.get!(() => {}, 1), { code: 'ERR_CLUSTER_NOT_CLONEABLE' });
});

test('its values arrive as they would elsewhere: errors within them whole, what has toJSON as that says', async () => {
  class Lost extends Error { readonly since = 5n; }
  const [store] = [await single().share(Store) as Shared];
  await store!.publish!('k', { error: new Lost('gone'), url: new URL('http://x/') });
  const { error, url } = await store!.get!('k') as { error: Lost; url: string };
  assert.deepEqual([error instanceof Error, error.name, error.since, url], [true, 'Lost', 5n, 'http://x/']);
});

test('shareClient of hatchery/runtime is that, in a process that is no child of a cluster', async () => {
  const { shareClient } = await import('../../lib/runtime.js');
  class Own { where() { return process.pid; } }
  const [a, b] = [await shareClient(Own), await shareClient(Own)];
  assert.equal(await a.where(), process.pid);
  await a.close();
  assert.equal(await b.where(), process.pid);
  await b.close();
});
