import { codeFrame, frameText, positionOf } from '../../plugins/dev-reload/code-frame.js';

/** An entry of a log: its line, and those that follow without a time of their own. */
export interface LogEntry {
  text: string;
  /** Milliseconds since the epoch; null where nothing tells. */
  at: number | null;
  level: string | null;
}

const TEXT = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d),(\d{3}) ([A-Z]+) /;
/** Levels by how much they matter. */
const LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR'];

/** The entries of a log, in text or JSON, the application's own lines among them. */
export function entriesOf(log: string): LogEntry[] {
  const entries: LogEntry[] = [];
  for (const line of log.split('\n')) {
    const begun = begin(line);
    const last = entries.at(-1);
    if (begun || !last) entries.push({ at: null, level: null, ...begun, text: line });
    else last.text += `\n${line}`;
  }
  return entries.filter(({ text }) => text.trim() !== '').map((entry) => ({ ...entry, text: entry.text.trimEnd() }));
}

function begin(line: string): Omit<LogEntry, 'text'> | null {
  const [, day, time, ms, level = null] = TEXT.exec(line) ?? [];
  // Local time, as it is written.
  if (day) return { at: Date.parse(`${day}T${time}.${ms}`), level };
  if (!line.startsWith('{"time":')) return null;
  try {
    const told = JSON.parse(line) as { time?: string; level?: string };
    return { at: Date.parse(told.time ?? ''), level: told.level?.toUpperCase() ?? null };
  } catch {
    return null;
  }
}

export const matters = ({ level }: LogEntry, least: string): boolean =>
  LEVELS.indexOf(level ?? 'INFO') >= LEVELS.indexOf(least.toUpperCase());

/** Where in the app an error comes from, with the lines around it; null where nothing tells. */
export function whereFrom(error: string, dir: string): { file: string; line: number; column: number; frame: string } | null {
  const [message = ''] = error.split('\n', 1);
  const position = positionOf({ message, stack: stackOf(error) }, dir);
  const frame = position && codeFrame(position);
  return frame && { file: frame.file, line: frame.line, column: frame.column, frame: frameText(frame) };
}

/** Of an entry in JSON it is a field; of one in text what follows its line. */
function stackOf(error: string): string {
  if (!error.startsWith('{')) return error.slice(error.indexOf('\n') + 1);
  try {
    const { error: told, stack } = JSON.parse(error) as { error?: { stack?: string } | string; stack?: string };
    return stack ?? (typeof told === 'string' ? told : told?.stack ?? '');
  } catch {
    return error;
  }
}
