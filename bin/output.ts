import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { visible } from '../lib/kit/misuse.js';
import { takesColors } from '../lib/kit/terminal.js';

/** Waits for a reader that is slow, without spinning. */
const pause = new Int32Array(new SharedArrayBuffer(4));

let another: ((fd: 1 | 2, text: string | Buffer) => void) | undefined;

/** From here on this process is a master, which must not wait for who reads. */
export function writeBy(way: typeof another): void {
  another = way;
}

/**
 * Writes to a descriptor at once. False when nobody reads any more (EPIPE): what the command does goes on all the same,
 * as `framework stop | head -1` must still stop.
 */
export function write(fd: 1 | 2, text: string | Buffer): boolean {
  if (another) {
    another(fd, text);
    return true;
  }
  let rest = typeof text === 'string' ? Buffer.from(text) : text;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EAGAIN') {
        if (code !== 'EPIPE' && fd === 1) unwritten(message);
        return false;
      }
      Atomics.wait(pause, 0, 0, 2);
    }
  }
  return true;
}

/** What was asked for has been done, but the answer is lost, on a full disk for instance. */
function unwritten(why: string): void {
  if (isUnwritten) return;
  isUnwritten = true;
  write(2, `standard output cannot be written: ${why}\n`);
  process.once('exit', (code) => { process.exitCode = code || 1; });
}
let isUnwritten = false;

let forProgram = false;

/** From here on standard output is for the answer alone, as a program reads it; what is said to people on the way is not. */
export function answerOnly(): void {
  forProgram = true;
}

/** A line for a person. */
export const print = (line = ''): boolean => forProgram || write(1, `${rendered(line)}\n`);
/** What has gone wrong, for a program; a person is told in another way. */
export function answerError({ code, message, detail }: Error & { code?: unknown; detail?: unknown }): void {
  if (forProgram) write(1, `${rendered(JSON.stringify({ error: { code, message, detail } }))}\n`);
}

/** What a command has to tell: to a program as JSON, to a person in words. */
export const answer = (value: object, words?: string, indent?: number): boolean =>
  forProgram || words === undefined ? write(1, `${rendered(JSON.stringify(value, null, indent))}\n`) : print(words);
export const printError = (line: string): boolean => write(2, `${rendered(line)}\n`);

export const isTerminal = (fd: 0 | 1 | 2): boolean => isatty(fd);

const CODES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], cyan: [36, 39] } as const;
export type Style = keyof typeof CODES;

export function style(text: string, name: Style, fd: 1 | 2 = 1): string {
  if (!takesColors(fd) || text === '') return text;
  const [open, close] = CODES[name];
  return `${MARK}${open}m${text}${MARK}${close}m`;
}

/**
 * Our own styles, until they are printed: what else is in a line may come from anybody, a title or an error, and is shown, not
 * obeyed. Nobody else knows the mark.
 */
const MARK = `\u001b{${Math.random().toString(36).slice(2)};`;
const STYLES = new RegExp(`${MARK.replace('{', '\\{')}(\\d+)m`);

/** A text as the terminal gets it: our styles, and nothing else that it would obey. */
export const rendered = (text: string): string =>
  text.split(STYLES).map((piece, index) => index % 2 === 1 ? `\u001b[${piece}m` : visible(piece)).join('');

/** A text as a terminal shows it, without our styles. */
export const unstyled = (text: string): string => text.split(STYLES).filter((_, index) => index % 2 === 0).map(visible).join('');

/** How wide a terminal is, or COLUMNS says; what nobody looks at on one is as wide as it wants to be. */
export function columns(): number {
  const told = (isTerminal(1) && process.stdout.columns) || Number(process.env.COLUMNS);
  return told > 0 ? told : Infinity;
}
