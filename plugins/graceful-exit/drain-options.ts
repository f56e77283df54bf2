import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { atCaller, ClusterError, isObject, nearest, show } from '../../lib/runtime.js';
import { DEFAULTS, LONGEST, WHOLE_MS } from './times.js';

/** What `drain()` of `hatchery/drain` takes; times in ms. */
export interface DrainOptions {
  /** For all of it, `onClose` too; set it a little below what the orchestrator allows. Default 30,000. */
  timeout?: number;
  /** What begins it. Default SIGTERM, SIGINT and SIGQUIT; a second one, half a second later or more, hurries. */
  signals?: readonly NodeJS.Signals[];
  /** A signal ends the process when all is done: with 0, or 1 if something was cut or failed. Default true. */
  exit?: boolean;
  /** Awaited when all is answered: databases, queues. */
  onClose?: () => unknown;
  /** What was cut, and what failed, a line each. Default console.error. */
  log?: (line: string) => void;
  /** Between the signal and the first server that stops accepting, for balancers that poll. Default 0. */
  shutdownDelay?: number;
  /** How long idle keep-alive connections are left open. Default 1,000. */
  idleTimeout?: number;
  /** How long connections of a plain TCP server are left open without a byte either way. Default 5,000. */
  tcpTimeout?: number;
  /** How long a WebSocket's client has to answer the goodbye, and other upgraded connections after the last HTTP answer. Default 5,000. */
  upgradeTimeout?: number;
  /** An event stream that browsers open again by themselves may be ended once it is so old. Default 60,000. */
  subscriptionAge?: number;
}

const TIMES = ['timeout', 'shutdownDelay', 'idleTimeout', 'tcpTimeout', 'upgradeTimeout', 'subscriptionAge'] as const;
/** Node gives nobody these two. */
const DEAF = ['SIGKILL', 'SIGSTOP'];

const isTime = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LONGEST;
const isFunction = (value: unknown): boolean => typeof value === 'function';

/** What is expected of an option, and whether it is that. */
const RULES: Readonly<Record<keyof DrainOptions, [expected: string, isGood: (value: unknown) => boolean]>> = {
  ...Object.fromEntries(TIMES.map((name) => [name, [`${WHOLE_MS.replace('expected ', '')}, at most ${LONGEST}`, isTime]])) as
    Record<typeof TIMES[number], [string, typeof isTime]>,
  signals: ['a list of signals', Array.isArray],
  exit: ['true or false', (value) => typeof value === 'boolean'],
  onClose: ['a function', isFunction],
  log: ['a function', isFunction],
};

/** With all that was left out; what cannot be meant is told in one line, where the user's code called `door`. */
export function checked(door: (options?: DrainOptions) => unknown, options: DrainOptions, again: boolean) {
  const refuse = (text: string): never => { throw atCaller(new ClusterError('ERR_CLUSTER_USAGE', `drain: ${text}`), door); };
  if (again) refuse('it was called before; once a process is enough, with all that there is to do in one `onClose`');
  if (!isObject(options)) refuse(`expected an object of options, found ${show(options)}`);
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(RULES, name) ? RULES[name as keyof DrainOptions] : undefined;
    if (!rule) {
      const near = nearest(name, Object.keys(RULES));
      refuse(`there is no option \`${name}\`${near ? `; did you mean \`${near}\`?` : `; there are ${Object.keys(RULES).join(', ')}`}`);
    } else if (value !== undefined && !rule[1](value)) {
      refuse(`\`${name}\`: expected ${rule[0]}, found ${show(value)}`);
    }
  }
  const known = Object.keys(constants.signals).filter((name) => !DEAF.includes(name));
  for (const signal of options.signals ?? []) {
    if (known.includes(signal)) continue;
    const near = typeof signal === 'string' ? nearest(signal, known) : undefined;
    refuse(`\`signals\`: expected signals that a process can hear, found ${show(signal)}${near ? `; did you mean "${near}"?` : ''}`);
  }
  if (!isMainThread && options.signals?.length !== 0) {
    refuse('a worker thread hears no signals: call it with `signals: []`, and what it returns when the main thread\'s own drain begins');
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as DrainOptions;
  const signals: NodeJS.Signals[] = process.platform === 'win32' ? ['SIGTERM', 'SIGINT'] : ['SIGTERM', 'SIGINT', 'SIGQUIT'];
  return { ...DEFAULTS, signals, exit: true, log: (line: string) => console.error(line), onClose: undefined, ...given };
}
