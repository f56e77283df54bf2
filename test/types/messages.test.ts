import assert from 'node:assert/strict';
import test from 'node:test';
import { definePlugin, type Channel, type Messenger } from '../../lib/index.js';

/**
 * `npm run typecheck` is the test: each line below an expected error must be one, and nothing else may be.
 * The functions are never called.
 */
declare module '../../lib/index.js' {
  interface InternalMessages {
    'typetest.count': { from: 'worker'; to: 'master'; data: number; reply: string };
  }
  interface Messages {
    'user-changed': { id: string };
  }
}

export function channels(worker: Channel<'worker', 'master'>, master: Channel<'master', 'worker'>): void {
  worker.send('typetest.count', 1);
  // @ts-expect-error wrong payload
  worker.send('typetest.count', 'one');
  // @ts-expect-error wrong direction: only a worker sends it
  master.send('typetest.count', 1);
  // @ts-expect-error nobody declared it
  worker.send('typetest.unknown', 1);
  master.on('typetest.count', (count) => String(count.toFixed()));
  // @ts-expect-error the answer has to be a text
  master.on('typetest.count', (count) => count);
  // @ts-expect-error a worker does not receive it
  worker.on('typetest.count', () => '');
  const answer: Promise<string> = worker.request('typetest.count', 1, { timeout: 1 });
  void answer;
}

export function messengers(messenger: Messenger): void {
  messenger.sendToApp('user-changed', { id: 'a' });
  // @ts-expect-error wrong payload of a declared action
  messenger.sendToApp('user-changed', { id: 1 });
  // @ts-expect-error the data are left out
  messenger.sendToApp('user-changed');
  // @ts-expect-error and here
  void messenger.request('agent', 'user-changed');
  messenger.sendToApp('agent-start');
  messenger.broadcast('not-declared');
  messenger.on('user-changed', ({ id }) => id.length);
  messenger.sendToApp('not-declared', Symbol.iterator);
}

export const plugin = definePlugin<{ limit: number }>({
  name: 'typed',
  apply(bootstrap, { limit }) {
    bootstrap.hooks.beforeRefork.tap('typed', () => ({ delay: limit }));
    // @ts-expect-error neither a delay nor "leave"
    bootstrap.hooks.beforeRefork.tap('typed', () => 'stay');
    bootstrap.hooks.beforeReload.tapPromise('typed', async (reason) => reason === 'x' ? 'no' : undefined);
    // @ts-expect-error no such hook
    void bootstrap.hooks.beforeLunch;
  },
});

test('the types hold (npm run typecheck)', () => {
  assert.equal(plugin.name, 'typed');
});
