import { createRequire } from 'node:module';
import { describeError, wire } from './errors.js';
import { visible } from './misuse.js';
import { takesColors } from './terminal.js';

/** From the least to the most important; `silent` prints nothing. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
/** `short`: neither time nor pid, coloured where it is for a terminal. */
export const LOG_FORMATS = ['text', 'json', 'short'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];
const WARN = LOG_LEVELS.indexOf('warn');

/** Where the lines of a process go. */
export interface LogOutput {
  /**
   * One line, or several that belong together; `urgent` are warnings and errors. Never throws. What is dropped is counted, and
   * said in a line that `lost` makes of the words for it.
   */
  write(line: string, urgent: boolean, lost: (words: string) => string): void;
}

export interface LoggerOptions {
  /** `master`, `agent`, `worker#0`. */
  label: string;
  level: LogLevel;
  format: LogFormat;
  output: LogOutput;
}

/**
 * The log of one process: one line an event, in the shape of Egg's (`2021-04-07 21:17:57,857 INFO 61376 [master] text`) or
 * as JSON. Written at once, so that the last lines before an exit are not lost, and own code, because loading the smallest of
 * the known loggers costs more than a whole worker may (docs/decisions/own-logger.md). It never throws. Who reads is not waited
 * for: in the master lines are dropped after 50 ms and counted (lib/master/outlet.ts), in a child they queue behind the app's
 * own (lib/child/output.ts).
 */
export class Logger {
  readonly #options: LoggerOptions;
  #level: number;

  constructor(options: LoggerOptions) {
    this.#options = { ...options };
    this.#level = LOG_LEVELS.indexOf(options.level);
  }

  /** `fields` follow the message as `key=value`, in JSON as keys of the line. */
  debug(message: string, fields?: object): void { this.#write(0, message, fields); }
  info(message: string, fields?: object): void { this.#write(1, message, fields); }
  warn(message: string, fields?: object): void { this.#write(2, message, fields); }
  /** An Error among the fields (`error`) or as the message is printed with its stack and causes. */
  error(message: string | Error, fields?: object): void {
    if (message instanceof Error) this.#write(3, message.message, { ...fields, error: message });
    else this.#write(3, message, fields);
  }

  get format(): LoggerOptions['format'] {
    return this.#options.format;
  }

  /** Least important level that is printed from now on. */
  set level(level: LogLevel) {
    this.#level = LOG_LEVELS.indexOf(level);
  }

  /** How lines look from now on. */
  set format(format: LoggerOptions['format']) {
    this.#options.format = format;
  }

  /** What lines are labelled with from now on. */
  set label(label: string) {
    this.#options.label = label;
  }

  /** The line that stands where lines were dropped. */
  lost(words: string): string {
    return this.#line(WARN, words);
  }

  /** The same with another label. */
  child(label: string): Logger {
    return new Logger({ ...this.#options, label });
  }

  /** A text as it is, for a person at a terminal. */
  print(text: string): void {
    this.#put(`${text}\n`, 0);
  }

  #write(level: number, message: string, fields?: object): void {
    if (level >= this.#level) this.#put(this.#line(level, message, fields), level);
  }

  #put(line: string, level: number): void {
    this.#options.output.write(line, level >= WARN, (words) => this.#line(WARN, words));
  }

  #line(level: number, message: string, fields?: object): string {
    const name = (LOG_LEVELS[level] as string).toUpperCase();
    const now = new Date();
    const { format, label } = this.#options;
    if (format === 'short') return `${short(level, label, visible(`${message}${fields ? text(fields) : ''}`))}\n`;
    if (format === 'text') {
      return `${visible(`${timestamp(now)} ${name} ${process.pid} [${label}] ${message}${fields ? text(fields) : ''}`)}\n`;
    }
    const data = (value: unknown): unknown => value instanceof Error ? wire(value) : value;
    const plain = fields && Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, data(value)]));
    return `${visible(JSON.stringify({ time: now.toISOString(), level: name, pid: process.pid, process: label, message, ...plain }))}\n`;
  }
}

/** By level; info is as it is. */
const COLORS = [2, 0, 33, 31];

/** The master's own lines need no name, and of the others the name is no news. Only the first line is painted: a stack has enough. */
function short(level: number, label: string, message: string): string {
  const paints = takesColors(level >= WARN ? 2 : 1);
  const paint = (text: string, code: number) => paints && code > 0 ? `\u001b[${code}m${text}\u001b[39;22m` : text;
  const name = label === 'master' ? '' : `${paint(label, 2)}  `;
  return name + message.replace(/^.*/, (first) => paint(first, COLORS[level] ?? 0));
}

function text(fields: object): string {
  const { error, ...rest } = fields as { error?: unknown };
  const shown = (value: unknown) => typeof value === 'string' ? value.replace(/\r?\n/g, '\\n') : JSON.stringify(value);
  const pairs = Object.entries(rest).map(([key, value]) => ` ${key}=${shown(value)}`).join('');
  return error === undefined ? pairs : `${pairs}\n${describeError(error)}`;
}

const two = (n: number) => String(n).padStart(2, '0');

/** `2021-04-07 21:17:57,857`, local time. */
export function timestamp(date: Date): string {
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time},${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** What `createDebug` gives. Not the library's own type, which a user of the published types does not have. */
type Debug = (format: string, ...values: unknown[]) => void;

/** `debug`, where DEBUG is set. Elsewhere it is not even loaded: it brings the terminal's streams, some ms of a start. */
export const createDebug = (namespace: string): Debug =>
  process.env.DEBUG ? (createRequire(import.meta.filename)('debug') as (namespace: string) => Debug)(namespace) : () => {};

/** Milliseconds between two lines about the same thing. */
const QUIET = 10_000;

interface Dropped {
  count: number;
  timer: NodeJS.Timeout;
}

/**
 * Counts what could not be kept: the first is said at once, the others as a number, every ten seconds while there are more.
 */
export class Drops {
  readonly #dropped = new Map<string, Dropped>();
  readonly #say: (text: string) => void;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  /** `what` is the begin of the line: `messages to worker#0, which does not read,`. */
  add(what: string, why = ''): void {
    const known = this.#dropped.get(what);
    if (known) {
      known.count++;
      return;
    }
    this.#dropped.set(what, { count: 0, timer: setTimeout(() => this.#sum(what), QUIET).unref() });
    this.#say(`${what} are dropped${why && `: ${why}`}`);
  }

  #sum(what: string): void {
    const dropped = this.#dropped.get(what);
    if (!dropped) return;
    if (dropped.count === 0) {
      this.#dropped.delete(what);
      return;
    }
    this.#say(`${what} were dropped: ${dropped.count} more`);
    dropped.count = 0;
    dropped.timer = setTimeout(() => this.#sum(what), QUIET).unref();
  }
}
