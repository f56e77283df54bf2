import { AsyncSeriesBailHook, AsyncSeriesHook, SyncBailHook, SyncHook, SyncWaterfallHook } from 'tapable';
import type { Config } from '../config/schema.js';
import { createDebug } from '../kit/debug.js';
import { ClusterError } from '../kit/errors.js';
import type { Address, CloseReason, Envelope } from '../ipc/messages.js';
import type { ChildView, ExitInfo } from '../master/processes/child.js';
import type { Status } from './status.js';

const debug = createDebug('hatchery:hooks');

/** How a child is about to be forked; a tap may change `env` and `execArgv` in place. */
export interface ForkSpec {
  role: 'agent' | 'worker';
  /** Stable index of a worker; -1 for the agent. */
  slot: number;
  generation: number;
  env: Record<string, string>;
  execArgv: string[];
}

export interface ReloadResult {
  ok: boolean;
  reason: string;
  generation: number;
  replaced: number;
  /** Milliseconds. */
  took: number;
  at: string;
  error?: string;
}

export type ReforkDecision = { delay: number } | 'leave' | undefined;
export type LimitDecision = 'degrade' | 'exit' | undefined;
export type UnresponsiveDecision = 'replace' | 'ignore' | undefined;

/** How the guard treats a tap: see {@link guard}. */
export type HookKind = 'gate' | 'observe' | 'decide' | 'waterfall';

/**
 * Every hook of the master. "gate": awaited, timed, an error in it carries the plugin's name. "observe": cannot break the
 * master. "decide": the first defined value wins, a throwing tap is logged and passed over; `beforeReload`, the one of them
 * that is asynchronous, is guarded as a gate. "waterfall": hands a value on.
 */
export function createHooks() {
  return {
    /** Configuration is loaded; what a tap returns is validated again. */
    configResolved: new SyncWaterfallHook<[Config]>(['config'], 'configResolved'),
    /** Before anything is forked; an error aborts the start. */
    beforeStart: new AsyncSeriesHook<[Config]>(['config'], 'beforeStart'),
    /** Before each fork of the agent, reforks too. */
    beforeForkAgent: new AsyncSeriesHook<[ForkSpec]>(['spec'], 'beforeForkAgent'),
    /** Before each fork of a worker, reforks too. */
    beforeForkWorker: new AsyncSeriesHook<[ForkSpec]>(['spec'], 'beforeForkWorker'),
    /** The agent's pid is known. */
    agentForked: new SyncHook<[ChildView]>(['child'], 'agentForked'),
    /** A worker's pid is known. */
    workerForked: new SyncHook<[ChildView]>(['child'], 'workerForked'),
    /** The agent entered `ready`. */
    agentReady: new SyncHook<[ChildView]>(['child'], 'agentReady'),
    /** A worker entered `ready`. */
    workerReady: new SyncHook<[ChildView]>(['child'], 'workerReady'),
    /** All children are ready for the first time. */
    clusterReady: new AsyncSeriesHook<[Address | null, ChildView[]]>(['address', 'children'], 'clusterReady'),
    /** A child failed before all were ready for the first time: `"stay"` keeps the master up, its slot empty, in place of ending the start. */
    startFailed: new SyncBailHook<[Error], 'stay' | undefined>(['error'], 'startFailed'),
    /** Once for each agent process. */
    agentExit: new SyncHook<[ChildView, ExitInfo]>(['child', 'exit'], 'agentExit'),
    /** Once for each worker process. */
    workerExit: new SyncHook<[ChildView, ExitInfo]>(['child', 'exit'], 'workerExit'),
    /** A worker died and is about to be forked again: `{ delay }` in ms, `"leave"` to leave its slot empty. */
    beforeRefork: new SyncBailHook<[ChildView, ExitInfo], ReforkDecision>(['child', 'exit'], 'beforeRefork'),
    /** `refork.limit` deaths within `refork.duration`. */
    reachReforkLimit: new SyncBailHook<[number, number[]], LimitDecision>(['slot', 'history'], 'reachReforkLimit'),
    /** A ready child's event loop has not answered for `hangTimeout`. */
    workerUnresponsive: new SyncBailHook<[ChildView, unknown], UnresponsiveDecision>(['child', 'sample'], 'workerUnresponsive'),
    /** A string vetoes the reload and is its reason. */
    beforeReload: new AsyncSeriesBailHook<[string], string | undefined>(['reason'], 'beforeReload'),
    /** After a rolling reload, finished or aborted. */
    reloaded: new AsyncSeriesHook<[ReloadResult]>(['result'], 'reloaded'),
    /** Before a child is told to close. */
    beforeDrain: new AsyncSeriesHook<[ChildView, CloseReason]>(['child', 'reason'], 'beforeDrain'),
    /** The number of workers wanted has changed. */
    scaleChanged: new SyncHook<[number, number]>(['from', 'to'], 'scaleChanged'),
    /** Shutdown begins. */
    beforeClose: new AsyncSeriesHook<[string]>(['reason'], 'beforeClose'),
    /** All children are gone. */
    closed: new AsyncSeriesHook<[string]>(['reason'], 'closed'),
    /** Each message through the master; `false` drops it. */
    message: new SyncBailHook<[Envelope], false | undefined>(['envelope'], 'message'),
    /** `status` was asked. */
    collectStatus: new SyncWaterfallHook<[Status]>(['status'], 'collectStatus'),
  };
}

export type Hooks = ReturnType<typeof createHooks>;
export type HookName = keyof Hooks;

export const hookKinds: Readonly<Record<HookName, HookKind>> = {
  configResolved: 'waterfall',
  beforeStart: 'gate',
  beforeForkAgent: 'gate',
  beforeForkWorker: 'gate',
  agentForked: 'observe',
  workerForked: 'observe',
  agentReady: 'observe',
  workerReady: 'observe',
  clusterReady: 'gate',
  startFailed: 'decide',
  agentExit: 'observe',
  workerExit: 'observe',
  beforeRefork: 'decide',
  reachReforkLimit: 'decide',
  workerUnresponsive: 'decide',
  beforeReload: 'decide',
  reloaded: 'gate',
  beforeDrain: 'gate',
  scaleChanged: 'observe',
  beforeClose: 'gate',
  closed: 'gate',
  message: 'decide',
  collectStatus: 'waterfall',
};

/**
 * Notes what is asked for and is no hook, for the message to a plugin that mistypes one. It still gets undefined, as it may
 * want to know whether this version has a hook.
 */
export function noteMisses(hooks: Hooks): { missed: Set<string>; stop(): void } {
  const missed = new Set<string>();
  const noted = new Proxy(Object.prototype, {
    get(prototype, name, receiver): unknown {
      if (typeof name === 'string' && !(name in prototype)) missed.add(name);
      return Reflect.get(prototype, name, receiver);
    },
  });
  Object.setPrototypeOf(hooks, noted);
  return { missed, stop: () => { Object.setPrototypeOf(hooks, Object.prototype); } };
}

/** One tap, as `framework hooks` shows it. */
export interface TapRecord {
  hook: HookName;
  plugin: string;
  calls: number;
  /** Milliseconds, all calls together. */
  total: number;
}

type TapFunction = (...args: unknown[]) => unknown;
interface TapInfo { name: string; type: string; fn: TapFunction; [key: string]: unknown }
interface Interceptable { intercept(interceptor: { register(tap: TapInfo): TapInfo }): void }

export interface GuardOptions {
  /** A gate's tap that takes longer (ms) is given up, by name. */
  timeout: number;
  /** Told of an error that the guard kept from breaking the master. */
  onError(error: ClusterError): void;
}

/**
 * Gives tapable what it does not do by itself (test/unit/hooks.test.ts): an async function given to `.tap` is awaited in a
 * gate and its rejection caught in an observer; a gate has a time limit; an error names the plugin; each tap is timed.
 */
export function guard(hooks: Hooks, { timeout, onError }: GuardOptions): TapRecord[] {
  const records: TapRecord[] = [];
  for (const name of Object.keys(hooks) as HookName[]) {
    const kind = hookKinds[name];
    const isAsync = (hooks[name] as { call?: unknown }).call === undefined;
    (hooks[name] as unknown as Interceptable).intercept({
      register(tap) {
        const record: TapRecord = { hook: name, plugin: tap.name, calls: 0, total: 0 };
        records.push(record);
        const timed = (started: number) => {
          record.calls++;
          const took = performance.now() - started;
          record.total += took;
          debug('%s: %s took %dms', name, tap.name, took.toFixed(1));
        };
        const named = (error: unknown) => error instanceof ClusterError ? error : new ClusterError('ERR_CLUSTER_HOOK',
          `plugin "${tap.name}" failed in hook ${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });

        if (isAsync) {
          const fn = tap.type === 'async' ? fromCallback(tap.fn) : tap.fn;
          const guarded = async (...args: unknown[]) => {
            const started = performance.now();
            try {
              return await within(timeout, async () => fn(...args), () => new ClusterError('ERR_CLUSTER_HOOK_TIMEOUT',
                `plugin "${tap.name}" did not finish hook ${name} within ${timeout} ms`));
            } catch (error) {
              throw named(error);
            } finally {
              timed(started);
            }
          };
          return { ...tap, type: 'promise', fn: guarded };
        }

        const guarded = (...args: unknown[]) => {
          const started = performance.now();
          try {
            const result = tap.fn(...args);
            if (isPromise(result)) {
              result.then(undefined, (error) => onError(named(error)));
              return kind === 'waterfall' ? args[0] : undefined;
            }
            return result;
          } catch (error) {
            if (name === 'configResolved') throw named(error);
            onError(named(error));
            return kind === 'waterfall' ? args[0] : undefined;
          } finally {
            timed(started);
          }
        };
        return { ...tap, fn: guarded };
      },
    });
  }
  return records;
}

const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as Promise<unknown>).then === 'function';

const fromCallback = (fn: TapFunction): TapFunction => (...args) => new Promise((resolve, reject) => {
  fn(...args, (error: unknown, result: unknown) => error ? reject(error as Error) : resolve(result));
});

/** Runs `task` with a time limit in ms; the timer ends with it. */
export async function within<T>(limit: number, task: () => Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(late()), limit); });
  try {
    return await Promise.race([task(), deadline]);
  } finally {
    clearTimeout(timer);
  }
}
