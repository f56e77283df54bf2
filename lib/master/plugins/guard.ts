import { type HookName, type Hooks, type TapRecord, noteOfHook } from '../../api/hooks.js';
import { speakingAs } from '../../ipc/declarations.js';
import { ClusterError, messageOf } from '../../kit/errors.js';
import { owned } from '../../kit/faults.js';
import { createDebug } from '../../kit/logger.js';
import { inTime } from '../../kit/time.js';

const debug = createDebug('hatchery:hooks');

type TapFunction = (...args: unknown[]) => unknown;
interface TapInfo { name: string; type: string; fn: TapFunction; [key: string]: unknown }
interface Interceptable { call?: unknown; intercept(interceptor: { register(tap: TapInfo): TapInfo }): void }

export interface GuardOptions {
  /** A gate's tap that takes longer (ms) is given up, by name. */
  timeout: number;
  /** Told of an error that the guard kept from breaking the master. */
  onError(error: ClusterError): void;
}

/**
 * Gives tapable what it does not do by itself (test/unit/hooks-guard.test.ts): an async function given to `.tap` is awaited in
 * a gate and its rejection caught in an observer; a gate has a time limit; an error names the plugin; each tap is timed.
 */
export function guard(hooks: Hooks, { timeout, onError }: GuardOptions): TapRecord[] {
  const records: TapRecord[] = [];
  for (const name of Object.keys(hooks) as HookName[]) {
    const hook = hooks[name] as unknown as Interceptable;
    const { kind, goesOn } = noteOfHook(hook);
    const isAsync = hook.call === undefined;
    hook.intercept({
      register(tap) {
        const record: TapRecord = { hook: name, plugin: tap.name, calls: 0, total: 0 };
        records.push(record);
        const timed = (started: number) => {
          record.calls++;
          const took = performance.now() - started;
          record.total += took;
          debug('%s: %s took %dms', name, tap.name, took.toFixed(1));
        };
        const named = (error: unknown) => isOurs(error) ? error : new ClusterError('ERR_CLUSTER_HOOK',
          `plugin "${tap.name}" failed in hook ${name}: ${messageOf(error)}`, { cause: error });

        if (isAsync) {
          const fn = owned(tap.type === 'async' ? fromCallback(tap.fn) : tap.fn);
          const guarded = async (...args: unknown[]) => {
            const started = performance.now();
            try {
              const called = async () => speakingAs(tap.name, () => fn(...args));
              return await inTime(timeout, called, () => new ClusterError('ERR_CLUSTER_HOOK_TIMEOUT',
                `plugin "${tap.name}" did not finish hook ${name} within ${timeout} ms`));
            } catch (error) {
              if (!goesOn || kind !== 'gate') throw named(error);
              onError(named(error));
            } finally {
              timed(started);
            }
          };
          return { ...tap, type: 'promise', fn: guarded };
        }

        const fn = owned(tap.fn);
        const guarded = (...args: unknown[]) => {
          const started = performance.now();
          try {
            const result = speakingAs(tap.name, () => fn(...args));
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

/** A Proxy may throw when it is asked what it is. */
function isOurs(error: unknown): error is ClusterError {
  try {
    return error instanceof ClusterError;
  } catch {
    return false;
  }
}

const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as Promise<unknown>).then === 'function';

const fromCallback = (fn: TapFunction): TapFunction => (...args) => new Promise((resolve, reject) => {
  fn(...args, (error: unknown, result: unknown) => error ? reject(error as Error) : resolve(result));
});
