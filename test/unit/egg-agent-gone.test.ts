import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import test, { type TestContext } from 'node:test';
import { createRuntime, eventually } from '../../bin/testing/index.js';
import type { FrameworkPart } from '../../lib/runtime.js';
import eggWorker from '../../plugins/egg/worker.js';

/** An application of which a cluster-client waits for its leader: it closes when `leader` comes. */
function application(leader: Promise<unknown>): FrameworkPart {
  return Object.assign(new EventEmitter(), { ready: () => {}, close: () => leader }) as FrameworkPart;
}

async function served(t: TestContext, leader: Promise<unknown>) {
  const worker = createRuntime();
  eggWorker(worker.runtime, { given: {}, asEggCluster: false, ports: [] });
  await worker.boot();
  const app = application(leader);
  worker.runtime.hooks.frameworkMade.call(app);
  let heard = 0;
  worker.runtime.messenger.on('agent-pids', () => { heard += 1; });
  const agents = async (...pids: number[]) => {
    const before = heard;
    worker.receive('agent-pids', pids);
    await eventually(() => heard > before);
  };
  t.after(() => worker.close());
  return { app, agents, logged: worker.logged };
}

test('an Egg application whose agent is gone ends after five seconds, whoever waits for that in it', { timeout: 20_000 }, async (t) => {
  const { app, agents, logged } = await served(t, new Promise(() => {}));
  await agents();
  const began = performance.now();
  await app.close?.();
  assert.ok(performance.now() - began >= 4_900);
  assert.match(logged.at(-1)?.message ?? '', /5000ms after its agent has gone/);
});

test('where the agent is there, or comes again, an Egg application has all the time that it takes', async (t) => {
  let come!: () => void;
  const { app, agents, logged } = await served(t, new Promise<void>((resolve) => { come = resolve; }));
  await agents();
  const closed = app.close?.();
  await agents(4711);
  come();
  await closed;
  assert.deepEqual(logged, []);
});
