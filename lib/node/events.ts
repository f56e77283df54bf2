import { EventEmitter } from 'node:events';

/** Lets a signal through to the listeners. */
type Pass = (name: NodeJS.Signals, number: number) => void;
type Emit = (this: NodeJS.Process, event: string | symbol, ...args: unknown[]) => boolean;

/**
 * Stands before whoever listens to these signals: `came` is told of each, and they are not. Must run before anybody listens
 * to one, as Node binds `process.emit` then. Returns what lets one through.
 */
export function gateSignals(names: ReadonlySet<string | symbol>, came: (name: string) => void): Pass {
  const emit = process.emit as unknown as Emit;
  (process as unknown as { emit: Emit }).emit = function gate(event, ...args) {
    if (!names.has(event)) return emit.call(this, event, ...args);
    came(event as string);
    return true;
  };
  return (name, number) => { emit.call(process, name, name, number); };
}

/**
 * Shows every EventEmitter that is made from now on, before its constructor goes on: `import`, `require` and bundles alike go
 * through there.
 */
export function seeEmitters(look: (emitter: object) => void): void {
  const emitters = EventEmitter as unknown as { init(this: object, options?: unknown): void };
  const { init } = emitters;
  emitters.init = function see(this: object, options?: unknown) {
    look(this);
    init.call(this, options);
  };
}

/** A subclass of EventEmitter is seen being made; a signal comes to the gate alone, and goes through when it is let. */
export async function probe(): Promise<string | null> {
  let seen: object | undefined;
  seeEmitters((emitter) => { seen = emitter; });
  class Made extends EventEmitter {}
  const made = new Made();
  if (seen !== made) return 'an EventEmitter is not initialised by `EventEmitter.init`';
  if (process.platform === 'win32') return null;
  const heard: number[] = [];
  let pass: Pass | undefined;
  const came = new Promise((resolve) => { pass = gateSignals(new Set(['SIGUSR2']), resolve); });
  process.on('SIGUSR2', (_: string, number: number) => { heard.push(number); });
  process.kill(process.pid, 'SIGUSR2');
  await came;
  if (heard.length > 0) return 'a signal reaches its listeners past `process.emit`';
  pass?.('SIGUSR2', 12);
  return heard.join() === '12' ? null : 'a signal that is let through reaches nobody';
}
