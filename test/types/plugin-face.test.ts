import assert from 'node:assert/strict';
import test from 'node:test';
import { definePlugin, type Master, type Plugin } from '../../lib/index.js';
import type { Runtime } from '../../lib/runtime.js';

/**
 * `npm run typecheck` is the test: each line below an expected error must be one, and nothing else may be.
 * The functions are never called.
 */
declare module '../../lib/index.js' {
  interface Shared {
    'typetest.counts': Map<number, number>;
  }
}

export function kinds({ hooks }: Master): void {
  hooks.workerExit.tap('x', (child, exit) => void [child.slot.toFixed(), exit.cause]);
  hooks.beforeDrain.tapPromise('x', async (child, reason) => void [child.pid, reason]);
  hooks.message.tap({ name: 'x', actions: ['said'], stage: 1 }, ({ action }) => action === 'said' ? false : undefined);
  // @ts-expect-error what observes is not awaited
  hooks.workerExit.tapPromise('x', async () => {});
  // @ts-expect-error nor by a callback
  hooks.workerReady.tapAsync('x', () => {});
  // @ts-expect-error a waterfall hands on at once
  hooks.collectStatus.tapPromise('x', async (status: never) => status);
  // @ts-expect-error and hands on what it was given, or the like
  hooks.collectStatus.tap('x', () => 1);
  // @ts-expect-error a decision is no promise here
  hooks.fillSlot.tap('x', async () => undefined);
  // @ts-expect-error neither a child nor nothing
  hooks.fillSlot.tap('x', () => ({ slot: 1 }));
  // @ts-expect-error "replace" or "ignore"
  hooks.workerUnresponsive.tap('x', () => 'kill');
  // @ts-expect-error a reason is a text
  hooks.beforeReload.tap('x', (reason: number) => void reason);
  // @ts-expect-error it is told one child
  hooks.workerReady.tap('x', (child: unknown, address: unknown) => void [child, address]);
  // @ts-expect-error a tap has a name
  hooks.workerReady.tap(() => {});
  // @ts-expect-error and a function
  hooks.workerReady.tap('x');
  // @ts-expect-error `actions`
  hooks.message.tap({ name: 'x', action: ['said'] }, () => undefined);
  // @ts-expect-error of messages alone
  hooks.workerReady.tap({ name: 'x', actions: ['said'] }, () => {});
  // @ts-expect-error no such hook
  void hooks.workerRedy;
}

export function services(master: Master): void {
  master.share('typetest.counts', new Map());
  const size: number | undefined = master.shared('typetest.counts')?.size;
  void size;
  // @ts-expect-error another type
  master.share('typetest.counts', new Set());
  // @ts-expect-error nobody shares that
  master.shared('typetest.count');
  // @ts-expect-error nobody has declared that
  master.share('typetest.else', 1);
}

export function face(master: Master): void {
  master.routeConnections({
    prepare: (client, admit, drop, { address }) => address.port === 443 ? admit({ seen: 1 }) : (client.close(), drop()),
    pick: (_, unavailable, __, { slots }) => slots.find(({ index, ready }) => ready && !unavailable(index))?.index,
  });
  // @ts-expect-error a slot is known at once
  master.routeConnections({ pick: async () => 1 });
  // @ts-expect-error no such part of it
  master.routeConnections({ choose: () => 1 });
  // @ts-expect-error `busy` or `waiting`
  master.routeConnections({ pick: (_, __, ___, { slots }) => slots[0]?.load });
  // @ts-expect-error no such role
  master.inject('app', new URL('file:///part.js'));
  // @ts-expect-error no such method
  master.route({ method: 'GRAB', path: '/mine', open: false, handler: () => ({ body: '' }) });
  // @ts-expect-error an answer has a body
  master.route({ method: 'GET', path: '/mine', open: false, handler: () => ({ status: 204 }) });
  // @ts-expect-error an index
  void master.standBy({ slot: '1' });
  // @ts-expect-error why comes with whom
  void master.replace('reload');
  // @ts-expect-error read only
  master.dry = true;
}

export const plugins = (): Plugin[] => [
  definePlugin({ name: 'a', needs: ['b'], before: ['c'], apply: () => {} }),
  // @ts-expect-error a list
  definePlugin({ name: 'a', needs: 'b', apply: () => {} }),
  // @ts-expect-error no such key
  definePlugin({ name: 'a', require: ['b'], apply: () => {} }),
  // @ts-expect-error a range is a text
  definePlugin({ name: 'a', engines: { node: 20 }, apply: () => {} }),
  // @ts-expect-error a command says what it does
  definePlugin({ name: 'a', commands: { 'a:b': { load: () => import('node:fs') } }, apply: () => {} }),
  // @ts-expect-error an option that is not there
  definePlugin<{ limit: number }>({ name: 'a', apply: (_, { limits }) => void limits }),
];

export function part(runtime: Runtime<'worker'>): void {
  runtime.hooks.request.tap('x', (request, response) => request.url === '/' ? undefined : (response.end(), true));
  runtime.hooks.request.tapPromise('x', async () => true);
  // @ts-expect-error handled, or nothing
  runtime.hooks.request.tap('x', () => 'handled');
  // @ts-expect-error the same later
  runtime.hooks.request.tapPromise('x', async () => 1);
  // @ts-expect-error an upgrade has no response
  runtime.hooks.upgrade.tap('x', (request, response) => { response.setHeader('x', 'y'); });
  // @ts-expect-error no such hook
  void runtime.hooks.respond;
  // @ts-expect-error the master's
  void runtime.hooks.workerReady;
  // @ts-expect-error its context has no such name
  runtime.extendContext('typetest', 1);
  // @ts-expect-error why it leaves, one of the known
  void runtime.leave('tired', { code: 0, timeout: 1 });
}

test('the types hold (npm run typecheck)', () => {
  assert.equal(typeof kinds, 'function');
});
