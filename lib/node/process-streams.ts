import { slowPath } from './slow-paths.js';

type Lazy = PropertyDescriptor & { get(): NodeJS.WriteStream };

/**
 * Calls `made` with the process's output stream when it is first used: making it costs a start a millisecond, so Node does
 * it then, behind a property that we put our own before. Returns a function that takes ours away again.
 */
export function whenMade(name: 'stdout' | 'stderr', made: (stream: NodeJS.WriteStream) => void): () => void {
  const lazy = Object.getOwnPropertyDescriptor(process, name) as Lazy;
  if (!isLazy(lazy)) {
    slowPath(`\`process.${name}\` is no lazy property any more: it is made at the start of each process`);
    made(process[name]);
    return () => {};
  }
  let stream: NodeJS.WriteStream | undefined;
  Object.defineProperty(process, name, {
    configurable: true,
    enumerable: true,
    get() {
      if (!stream) {
        stream = lazy.get.call(process);
        made(stream);
      }
      return stream;
    },
  });
  return () => { Object.defineProperty(process, name, lazy); };
}

const isLazy = (property: PropertyDescriptor | undefined): boolean => typeof property?.get === 'function' && property.configurable === true;

/** A stream is met when it is used, and not before. */
export function probe(): Promise<string | null> {
  const before = Object.getOwnPropertyDescriptor(process, 'stderr');
  if (!isLazy(before)) return Promise.resolve('`process.stderr` is no configurable getter');
  let met = 0;
  const restore = whenMade('stderr', () => { met++; });
  const early = met;
  const same = process.stderr === process.stderr;
  restore();
  const restored = Object.getOwnPropertyDescriptor(process, 'stderr')?.get === before?.get;
  return Promise.resolve(early === 0 && met === 1 && same && restored ? null : '`process.stderr` cannot be seen being made');
}
