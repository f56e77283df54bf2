import path from 'node:path';
import type { BootInfo } from '../ipc/messages.js';
import { wire } from '../kit/errors.js';
import { listenErrorInWords } from '../kit/sockets.js';
import { syntaxFaultFrom } from '../kit/syntax-faults.js';
import { whenMade } from '../node/process.js';
import { closeFailed } from './closing.js';
import { isTypeScript, stripsTypes } from './load.js';
import type { ChildRuntime } from './runtime.js';

/** Marks listeners that are the product's, not the app's; the parts of plugins have a copy of it. */
const OWN = Symbol.for('hatchery.own');
const isLeftToApp = (): boolean => process.listeners('uncaughtException').some((listener) => !Reflect.get(listener, OWN));

interface LastWords {
  /** Tells the master and ends this process, its last lines read. */
  fail(error: unknown): void;
  /** It is ready. */
  forget(): void;
  readonly failed: boolean;
}

/** Bytes of error output that are kept while a child starts. */
const KEPT = 8_192;

/**
 * Until a child is ready, what it writes to its error output is remembered and, with its error, sent to the master when it
 * fails: `start --daemon` and `reload` show it to the one who waits. The stream itself is only wrapped when it is used, as
 * making it costs a worker's start a millisecond.
 */
export function keepLastWords(runtime: ChildRuntime): LastWords {
  let words = '';
  let restore = () => {};
  const unwrap = whenMade('stderr', (stream) => {
    const { write } = stream;
    stream.write = function keep(this: NodeJS.WriteStream, ...args: unknown[]) {
      words = (words + String(args[0])).slice(-KEPT);
      return Reflect.apply(write as (...args: unknown[]) => boolean, this, args);
    } as NodeJS.WriteStream['write'];
    restore = () => { stream.write = write; };
  });

  let told = false;
  // An app that listens for uncaught exceptions itself gets its error as it was.
  const tell = (error: unknown, first?: (error: unknown) => void) => {
    if (told) return;
    told = true;
    if ('file' in runtime.boot.entry) explainSyntaxError(error, runtime.boot.entry.file);
    first?.(error);
    runtime.channel.sendLast('child.failed', { phase: 'boot', error: wire(error), ...(words ? { output: words } : {}) });
  };
  let failed = false;
  const fail = (error: unknown): void => {
    tell(error, (one) => clarify(one, runtime.boot.listen));
    if (failed) return;
    failed = true;
    seen(runtime, error);
    if (runtime.printsFailure) runtime.logger.error('failed to start', { error });
    void closeFailed(runtime);
  };
  // Where the app listens for uncaught exceptions itself, it decides, as in a plain process.
  const uncaught = (error: unknown) => (isLeftToApp() ? tell(error) : fail(error));
  Reflect.set(uncaught, OWN, true);
  const exited = (code: number) => {
    if (runtime.closing) return;
    const why = runtime.refused === undefined ? '' : `: ${runtime.refused}`;
    const error = new Error(`the app ended the process with code ${code} before it was ready${why}`);
    error.stack = undefined;
    tell(error);
  };
  process.prependListener('uncaughtException', uncaught);
  process.on('exit', exited);
  const forget = () => {
    process.off('uncaughtException', uncaught);
    process.off('exit', exited);
    unwrap();
    restore();
    words = '';
  };
  return { fail, forget, get failed() { return failed; } };
}

/** What plugins have to say of a failure must not hide it. */
function seen({ hooks, logger }: ChildRuntime, failure: unknown): void {
  try {
    hooks.startFailed.call(failure);
  } catch (error) {
    logger.error('a tap of startFailed failed', { error });
  }
}

/** Our own code, seen from dist/lib/child. */
const OURS = path.join(import.meta.dirname, '../../');

/** What a name, or an address, that is none of this machine comes to. */
const NO_ADDRESS = /\b(?:EADDRNOTAVAIL|ENOTFOUND|EAI_AGAIN|EINVAL)\b/;

/** How an app fails in a worker of node:cluster that would be a primary itself. */
const FORKS = /\b(?:fork|setup(?:Primary|Master))\)? is not a function$|'(?:node:)?cluster'.* export named '(?:fork|setup)/;
const NO_FORKS = 'the workers are forked already, and this is one of them: let the app listen without node:cluster, '
  + 'or fork where `cluster.isPrimary` is true alone, and say how many by `workers`';

/**
 * What ended a start, for the one who has to mend it: a port that cannot be had in words, and no stack where nothing in it
 * is the app's, as an export that cannot be served or a listen that fails later has none.
 */
export function clarify(error: unknown, { host, hostFromEnvironment }: Partial<BootInfo['listen']> = {}): void {
  if (!(error instanceof Error) || error.stack === undefined) return;
  if (FORKS.test(error.message)) reword(error, `${error.message}; ${NO_FORKS}`);
  const words = listenErrorInWords(error.message);
  const isItsFault = hostFromEnvironment && host !== undefined && error.message.includes(host) && NO_ADDRESS.test(error.message);
  const from = isItsFault ? `; the environment says so: HOST=${host}` : '';
  if (words !== undefined || from) reword(error, (words ?? error.message) + from);
  const lines = error.stack.split('\n');
  if (!lines.some((line) => isFrame(line) && !/node:|<anonymous>\)$/.test(line) && !line.includes(OURS))) {
    restack(error, lines.filter((line) => !isFrame(line)).join('\n'));
  }
}

const isFrame = (line: string): boolean => /^ +at /.test(line);

/** Gives an error another message, in its stack too; one that cannot be changed stays as it is. */
export function reword(error: Error, message: string): void {
  restack(error, error.stack?.replace(error.message, () => message));
  Reflect.set(error, 'message', message);
}

export function restack(error: Error, stack: string | undefined): void {
  Reflect.set(error, 'stack', stack);
}

/**
 * Puts file, line and code before the stack of a syntax error, as Node does where it ends the process by itself; and a hint where
 * TypeScript is at the bottom of it. `entry` is what was being loaded. Gives the place: `/srv/app/part.mjs:2`.
 */
export function explainSyntaxError(error: unknown, entry: string): string | undefined {
  if (!(error instanceof Error) || error.stack === undefined) return undefined;
  const fault = syntaxFaultFrom(error, entry);
  if (fault && fault.message !== error.message) reword(error, fault.message);
  if (fault && !error.stack.startsWith(fault.frame)) restack(error, `${fault.frame}\n\n${error.stack}`);
  if (error instanceof SyntaxError && isTypeScript(entry) && stripsTypes) {
    error.stack += `\n\nNode.js ${process.version} strips types and compiles nothing: `
      + 'for decorators, enums and the like install tsx in the app and set `import: ["tsx"]`';
  }
  return fault?.place;
}
