import { LOG_LEVELS, type LogLevel } from '../lib/kit/logger.js';
import { usageError } from './command.js';

/** What is in a log between one head and the next: ours, an object of a logger that writes JSON, or a line that the app has printed. */
export interface LogEntry {
  /** As printed. */
  lines: string[];
  /** Ms since 1970; of what tells none, that of the entry before; NaN: nobody has told one yet. */
  time: number;
  /** `info` where none is told. */
  level: LogLevel;
  pid?: number;
  /** `master`, `agent`, `worker#0`. */
  process?: string;
  message: string;
  fields?: Record<string, unknown>;
}

/** What is asked for; what is left out is all the same. */
export interface LogFilter {
  /** `master`, `agent`, `worker#0`. */
  process?: string;
  /** Least important one. */
  level?: LogLevel;
  /** Ms since 1970. */
  since?: number;
  grep?: RegExp;
}

const HEAD = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (DEBUG|INFO|WARN|ERROR) (\d+) \[([^\]]+)\] (.*)$/;
/** The stack of an error begins where the line begins, and goes on below. */
const ERROR = /^(?:Uncaught )?[\w$.]*(?:Error|Exception)\b/;
/** What our lines say of a worker's process: its pid and its slot, or the other way round. */
const PID_FIRST = /app_worker#\d+:(\d+) \(slot (\d+)\)/;
const SLOT_FIRST = /worker#(\d+) \(pid (\d+)\)/;

/** Lines become entries; `take` gets each once it is complete. */
export class Entries {
  readonly #take: (entry: LogEntry) => void;
  #open: LogEntry | null = null;
  #clock = NaN;
  readonly #processes = new Map<number, string>();

  constructor(take: (entry: LogEntry) => void) {
    this.#take = take;
  }

  line(line: string): void {
    const entry = this.#ours(line) ?? this.#object(line);
    if (!entry && this.#open && this.#continues(line, this.#open)) {
      this.#open.lines.push(line);
      return;
    }
    this.end();
    this.#open = entry ?? { lines: [line], time: this.#clock, level: 'info', message: line };
    this.#clock = this.#open.time;
  }

  /** What is open is complete: nothing comes any more, or not for a while. */
  end(): void {
    if (this.#open) this.#take(this.#open);
    this.#open = null;
  }

  #continues(line: string, { lines, process }: LogEntry): boolean {
    return /^\s/.test(line) || (process !== undefined && lines.length === 1 && ERROR.test(line));
  }

  #ours(line: string): LogEntry | null {
    const [, time, level, pid, process, message] = HEAD.exec(line) ?? [];
    if (time === undefined || process === undefined || message === undefined) return null;
    this.#learn(Number(pid), process, message);
    const at = new Date(time.replace(' ', 'T').replace(',', '.')).getTime();
    return { lines: [line], time: at, level: levelOf(level), pid: Number(pid), process, message };
  }

  /** Ours as JSON; pino's, bunyan's and winston's are told apart by nothing but their names for the same things. */
  #object(line: string): LogEntry | null {
    if (!line.startsWith('{')) return null;
    let object: Record<string, unknown>;
    try {
      object = JSON.parse(line) as Record<string, unknown>;
    } catch {
      return null;
    }
    const { time, timestamp, level, pid, process, message, msg, ...fields } = object;
    const at = new Date((time ?? timestamp) as number).getTime();
    const known = typeof pid === 'number' ? pid : undefined;
    const text = String(message ?? msg ?? '');
    const label = typeof process === 'string' ? process : known === undefined ? undefined : this.#processes.get(known);
    if (known !== undefined && typeof process === 'string') this.#learn(known, process, text);
    return {
      lines: [line], time: Number.isNaN(at) ? this.#clock : at, level: levelOf(level), pid: known, process: label, message: text, fields,
    };
  }

  #learn(pid: number, process: string, message: string): void {
    this.#processes.set(pid, process);
    const [, first, slot] = PID_FIRST.exec(message) ?? [];
    const [, other, second] = SLOT_FIRST.exec(message) ?? [];
    if (first !== undefined) this.#processes.set(Number(first), `worker#${slot}`);
    if (second !== undefined) this.#processes.set(Number(second), `worker#${other}`);
  }
}

/** Pino's numbers, by tens. */
function levelOf(level: unknown): LogLevel {
  if (typeof level === 'number') return level >= 50 ? 'error' : level >= 40 ? 'warn' : level >= 30 ? 'info' : 'debug';
  const name = String(level).toLowerCase();
  if (name === 'fatal' || name === 'critical') return 'error';
  if (name === 'warning') return 'warn';
  if (name === 'trace' || name === 'verbose') return 'debug';
  return LOG_LEVELS.find((one) => one === name) ?? 'info';
}

/** Of a slot also what the master says about it. */
export function matches({ lines, time, level, process, message }: LogEntry, filter: LogFilter): boolean {
  if (filter.since !== undefined && !(time >= filter.since)) return false;
  if (filter.level !== undefined && LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(filter.level)) return false;
  const { process: wanted } = filter;
  if (wanted !== undefined && process !== wanted && !(process === 'master' && isAbout(message, wanted))) return false;
  return filter.grep === undefined || filter.grep.test(lines.join('\n'));
}

function isAbout(message: string, process: string): boolean {
  if (process === 'agent') return /\bagent\b/.test(message);
  if (process === 'app') return /\bthe app\b/.test(message);
  return new RegExp(`\\b${process}\\b|\\bslot ${process.slice('worker#'.length)}\\b`).test(message);
}

/** One object, for programs. */
export function entryJson({ lines, time, level, pid, process, message, fields }: LogEntry): string {
  const more = lines.length > 1 ? { detail: lines.slice(1).join('\n') } : {};
  return JSON.stringify({
    time: Number.isNaN(time) ? null : new Date(time).toISOString(), level: level.toUpperCase(), pid, process, message, ...fields, ...more,
  });
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `10m`, `14:30`, `2026-11-27 14:30`, in ms since 1970. @throws ClusterError ERR_CLUSTER_USAGE */
export function timeIn(text: string, now: number): number {
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text) ?? [];
  if (count !== undefined) return now - Number(count) * (UNITS[unit] as number);
  const [, hours, minutes, seconds = '0'] = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(text) ?? [];
  if (hours !== undefined && Number(hours) < 24 && Number(minutes) < 60) {
    return new Date(now).setHours(Number(hours), Number(minutes), Number(seconds), 0);
  }
  // A date alone would be taken as UTC.
  const day = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00` : text.replace(/^(\d{4}-\d\d-\d\d) /, '$1T').replace(',', '.');
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(day).getTime() : NaN;
  if (!Number.isNaN(time)) return time;
  throw usageError(`--since: expected a span such as 10m, 2h or 1d, a time such as 14:30, or a date, found "${text}"`);
}
