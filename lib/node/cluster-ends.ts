import type { ChildProcess } from 'node:child_process';
import cluster from 'node:cluster';
import type { Server } from 'node:net';
import { atMost } from '../kit/time.js';

type Listener = ((...args: unknown[]) => unknown) & { listener?: (...args: unknown[]) => unknown };
type Emit = (this: object, event: string | symbol, ...args: unknown[]) => boolean;

/** As many addresses as one worker may be opening when it ends. */
const MOST = 1_000;

const isNodes = (error: unknown): boolean => error instanceof Error && /node:internal\/cluster/.test(error.stack ?? '');

/**
 * node:cluster throws where a worker ends while an address that it asked for is still being opened (its name is looked up, say),
 * as it closes a handle that is not there yet: in the master, whose end that would be. What is left of its work is done on
 * another call, since it goes from address to address; and who else listens hears of the end in any case.
 */
export function guardEnds(child: ChildProcess): void {
  eachListener(child, new Set(['disconnect', 'exit']), (listener, args) => {
    try {
      listener.apply(child, args);
    } catch (error) {
      if (!isNodes(error)) throw error;
      again(listener.listener ?? listener, child, args);
    }
  });
}

/** Nor does it expect that two workers wait for an address that cannot be had. */
export function guardErrors(server: Server): void {
  eachListener(server, new Set(['error']), (listener, args) => {
    try {
      listener.apply(server, args);
    } catch (error) {
      if (!isNodes(error)) throw error;
    }
  });
}

/** Milliseconds for node:cluster's farewell to the master. */
const FAREWELL = 1_000;

/** In a worker, before it exits: the master's acknowledgement comes after every connection that was under way to this worker. */
export async function sayFarewell(): Promise<void> {
  const { worker } = cluster;
  if (!worker?.isConnected()) return;
  const said = new Promise<void>((resolve) => { process.once('disconnect', resolve); });
  worker.disconnect();
  await atMost(FAREWELL, said);
}

function again(listener: Listener, child: ChildProcess, args: unknown[]): void {
  for (let count = 0; count < MOST; count++) {
    try {
      listener.apply(child, args);
      return;
    } catch (error) {
      if (!isNodes(error)) throw error;
    }
  }
}

/** Calls the listeners of these events one by one: what one throws keeps no other from hearing it. */
function eachListener(
  emitter: ChildProcess | Server, events: ReadonlySet<string | symbol>, call: (one: Listener, args: unknown[]) => void,
): void {
  const emit = emitter.emit as Emit;
  (emitter as { emit: Emit }).emit = function each(event, ...args) {
    if (!events.has(event)) return emit.call(this, event, ...args);
    const listeners = emitter.rawListeners(event) as Listener[];
    for (const listener of listeners) {
      try {
        call(listener, args);
      } catch (error) {
        process.nextTick(() => { throw error; });
      }
    }
    return listeners.length > 0;
  };
}
