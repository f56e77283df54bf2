import type { ChildRuntime } from './runtime.js';
import { wholeError } from '../kit/logger.js';
import { clarify } from './start-error.js';
import { explainSyntaxError } from './syntax-location.js';

/** Bytes of error output that are kept while a child starts. */
const KEPT = 8_192;

/**
 * Until a child is ready, what it writes to its error output is remembered and, with its error, sent to the master when it
 * fails: `start --daemon` and `reload` show it to the one who waits. The stream itself is only wrapped when it is used, as
 * making it costs a worker's start a millisecond.
 */
export function keepLastWords(runtime: ChildRuntime): { fail(error: unknown): never; forget(): void } {
  let words = '';
  const lazy = Object.getOwnPropertyDescriptor(process, 'stderr') as PropertyDescriptor & { get(): NodeJS.WriteStream };
  let write: NodeJS.WriteStream['write'] | undefined;
  let stream: NodeJS.WriteStream | undefined;
  Object.defineProperty(process, 'stderr', {
    configurable: true,
    enumerable: true,
    get() {
      if (stream) return stream;
      stream = lazy.get.call(process);
      write = stream.write;
      stream.write = function keep(this: NodeJS.WriteStream, ...args: unknown[]) {
        words = (words + String(args[0])).slice(-KEPT);
        return Reflect.apply(write as (...args: unknown[]) => boolean, this, args);
      } as NodeJS.WriteStream['write'];
      return stream;
    },
  });

  let told = false;
  // An app that listens for uncaught exceptions itself gets its error as it was.
  const tell = (error: unknown, first?: (error: unknown) => void) => {
    if (told) return;
    told = true;
    if ('file' in runtime.boot.entry) explainSyntaxError(error, runtime.boot.entry.file);
    first?.(error);
    runtime.channel.sendLast('child.failed', { phase: 'boot', error: wholeError(error), ...(words ? { output: words } : {}) });
  };
  const fail = (error: unknown): never => {
    tell(error, clarify);
    if (runtime.printsFailure) runtime.logger.error('failed to start', { error });
    process.exit(1);
  };
  const uncaught = (error: unknown) => {
    // Where the app listens for uncaught exceptions itself, it decides, as in a plain process.
    if (process.listenerCount('uncaughtException') === 0) fail(error);
    else tell(error);
  };
  const exited = (code: number) => {
    if (runtime.closing) return;
    const error = new Error(`the app ended the process with code ${code} before it was ready`);
    error.stack = undefined;
    tell(error);
  };
  process.on('uncaughtExceptionMonitor', uncaught);
  process.on('exit', exited);
  const forget = () => {
    process.off('uncaughtExceptionMonitor', uncaught);
    process.off('exit', exited);
    Object.defineProperty(process, 'stderr', lazy);
    if (stream && write) stream.write = write;
    words = '';
  };
  return { fail, forget };
}
