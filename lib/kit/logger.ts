import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describeError, wire } from './errors.js';
import { visible } from './misuse.js';

/** From the least to the most important; `silent` prints nothing. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  /** `master`, `agent`, `worker#0`. */
  label: string;
  level: LogLevel;
  format: 'text' | 'json';
  /** Descriptors for normal lines and for warnings and errors; read at each line, as a log file may be reopened. */
  output?: { out: number; err: number };
}

/**
 * The log of one process: one line an event, in the shape of Egg's (`2021-04-07 21:17:57,857 INFO 61376 [master] text`) or
 * as JSON. Written synchronously, so that the last lines before an exit are not lost, and own code, because loading the
 * smallest of the known loggers costs more than a whole worker may (docs/decisions/own-logger.md). It never throws and never
 * waits for a reader longer than 50 ms.
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

  /** Least important level that is printed from now on. */
  set level(level: LogLevel) {
    this.#level = LOG_LEVELS.indexOf(level);
  }

  /** How lines look from now on. */
  set format(format: LoggerOptions['format']) {
    this.#options.format = format;
  }

  /** The same with another label. */
  child(label: string): Logger {
    return new Logger({ ...this.#options, label });
  }

  #write(level: number, message: string, fields?: object): void {
    if (level < this.#level) return;
    const name = (LOG_LEVELS[level] as string).toUpperCase();
    const now = new Date();
    let line: string;
    if (this.#options.format === 'json') {
      const data = (value: unknown): unknown => value instanceof Error ? wire(value) : value;
      const plain = fields && Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, data(value)]));
      const common = { time: now.toISOString(), level: name, pid: process.pid, process: this.#options.label };
      line = visible(JSON.stringify({ ...common, message, ...plain }));
    } else {
      line = visible(`${timestamp(now)} ${name} ${process.pid} [${this.#options.label}] ${message}${fields ? text(fields) : ''}`);
    }
    const { out, err } = this.#options.output ?? { out: 1, err: 2 };
    writeWhole(level >= 2 ? err : out, line + '\n');
  }
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

/** A closed reader (EPIPE) must not end a server, and a full pipe (EAGAIN) must not spin: what does not fit is dropped. */
function writeWhole(fd: number, line: string): void {
  try {
    let rest = Buffer.from(line);
    for (let tries = 0; rest.length > 0 && tries < 50; tries++) {
      try {
        rest = rest.subarray(writeSync(fd, rest));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        Atomics.wait(pause, 0, 0, 1);
      }
    }
  } catch {
    // Nobody reads any more.
  }
}
const pause = new Int32Array(new SharedArrayBuffer(4));

/** What `createDebug` gives. Not the library's own type, which a user of the published types does not have. */
type Debug = (format: string, ...values: unknown[]) => void;

/** `debug`, where DEBUG is set. Elsewhere it is not even loaded: it brings the terminal's streams, some ms of a start. */
export const createDebug = (namespace: string): Debug =>
  process.env.DEBUG ? (createRequire(import.meta.filename)('debug') as (namespace: string) => Debug)(namespace) : () => {};
