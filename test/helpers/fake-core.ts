import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Plugin } from '../../lib/api/plugin.js';
import type { ClusterError } from '../../lib/kit/errors.js';
import type { LoadedConfig } from '../../lib/config/load.js';
import { defaults, type Config } from '../../lib/config/schema.js';
import { createCore, type BootstrapOptions, type Core } from '../../lib/master/core.js';
import { closeAndExit } from '../../lib/master/operations/shutdown.js';
import { start } from '../../lib/master/operations/start.js';
import { applyPlugin } from '../../lib/master/plugins/load.js';
import { FakeForks, turns } from './fake-forker.js';

/** A configuration as the loader would give it, silent and without plugins. */
export function loadedWith(config: Partial<Config> = {}, { agent = false }: { agent?: boolean } = {}): LoadedConfig {
  return {
    config: { ...defaults, https: undefined, workers: 2, title: 'unit', plugins: {}, ...config, log: { level: 'silent', format: 'text' } },
    provenance: {},
    files: [],
    unused: [],
    profile: 'test',
    target: {
      dir: '/app', realDir: '/app', cwd: '/', name: 'unit', entry: { app: '/app/app.js', ...(agent ? { agent: true as const } : {}) },
    },
    pluginObjects: {}, pluginDirs: {}, frameworks: [],
  };
}

export interface FakeCore {
  core: Core;
  forks: FakeForks;
  /** Hooks that were called, as `name slot` or `name`, in order. */
  told: string[];
  /** Errors that were logged. */
  errors: string[];
}

interface Given extends Partial<Config> {
  agent?: boolean;
  options?: BootstrapOptions;
}

/** The real core, but for the processes: those are fakes, and the shell that reaps them is left out. Ended with the test. */
export function fakeCore(t: Pick<TestContext, 'after'>, { agent = false, options = {}, ...config }: Given = {}): FakeCore {
  const forks = new FakeForks();
  const core = createCore(loadedWith(config, { agent }), { ownsProcess: false, ...options }, forks.start);
  core.reaper.start = () => {};
  // Nothing of these processes is in the table of processes.
  Object.assign(core.leftovers, { ended: () => {}, end: () => Promise.resolve() });
  core.life.giveUp = (reason) => void closeAndExit(core, reason, { code: 1 });
  const errors: string[] = [];
  core.logger.error = (message) => { errors.push(typeof message === 'string' ? message : message.message); };
  const told: string[] = [];
  for (const name of ['agentForked', 'workerForked', 'agentReady', 'workerReady', 'agentExit', 'workerExit'] as const) {
    core.hooks[name].tap('test', ({ slot }: { slot: number }) => { told.push(`${name} ${slot}`); });
  }
  t.after(() => core.listeners.end());
  return { core, forks, told, errors };
}

/** As `fakeCore`, started, all of them ready; with `plugin`, where there is one. */
export async function running(t: Pick<TestContext, 'after'>, given: Given = {}, plugin?: Plugin): Promise<FakeCore> {
  const fake = fakeCore(t, given);
  if (plugin) await applyPlugin(fake.core, plugin, {}, true);
  fake.forks.manners.boots = true;
  await start(fake.core);
  fake.forks.manners.boots = false;
  await turns();
  return fake;
}

export type Outcome<T> = { state: 'pending' } | { state: 'done'; value: T } | { state: 'failed'; error: ClusterError };

/** Looks at a promise without waiting for it; nothing of it goes unhandled. */
export function watched<T>(promise: Promise<T>): { outcome: Outcome<T>; code: string | undefined } {
  const seen = { outcome: { state: 'pending' } as Outcome<T>, code: undefined as string | undefined };
  promise.then((value) => { seen.outcome = { state: 'done', value }; }, (error: ClusterError) => {
    seen.outcome = { state: 'failed', error };
    seen.code = error.code;
  });
  return seen;
}

/** What must hold of the cluster at any moment. */
export function assertSound({ core, forks }: FakeCore, where: string): void {
  const { workers, agent, life } = core;
  const slots = [agent, ...workers.slots];
  const all = slots.flatMap((slot) => slot.children());
  assert.equal(new Set(all).size, all.length, `${where}: a child is in two places`);
  const known = new Set([...agent.children(), ...workers.children()].map(({ pid }) => pid));
  for (const fake of forks.alive) {
    assert.ok(known.has(fake.pid), `${where}: nobody knows pid ${fake.pid} of slot ${fake.spec.slot} any more`);
  }
  if (!life.started || core.tasks.current !== null) return;
  for (const slot of workers.slots) {
    const why = slot.current ?? slot.refork.delay ?? (slot.pending || slot.left);
    assert.ok(why !== false, `${where}: slot ${slot.index} has neither a process nor a timer nor a reason`);
  }
}
