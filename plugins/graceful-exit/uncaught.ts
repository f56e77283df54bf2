import type { Runtime } from '../../lib/runtime.js';

const installed = new WeakSet<object>();

/**
 * An uncaught exception, or a rejection that nobody handles, closes this child in order: its replacement is forked at
 * once, what is in flight is answered within `timeout` ms, the exit code is 1. An app that listens to the event itself
 * decides itself, as in plain Node. Before the child serves, the failure is its start's, which ends it.
 */
export function onUncaught(runtime: Runtime, timeout: number, before: () => void = () => {}): void {
  if (installed.has(runtime)) return;
  installed.add(runtime);
  let leaving = false;
  const listener = (error: unknown, origin: NodeJS.UncaughtExceptionOrigin): void => {
    if (process.listeners('uncaughtException').some((other) => other !== listener && !Reflect.get(other, OURS))) return;
    if (!runtime.ready) return;
    const what = origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception';
    runtime.logger.error(leaving ? `another ${what} while closing` : `${what}: answering what is in flight, then exiting`, { error });
    if (leaving) return;
    leaving = true;
    before();
    void runtime.leave('uncaught', { code: 1, timeout });
  };
  Reflect.set(listener, OURS, true);
  process.on('uncaughtException', listener);
}

/** Marks listeners that are the product's, not the app's. */
const OURS = Symbol.for('hatchery.own');
