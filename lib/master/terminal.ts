import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { isatty } from 'node:tty';
import { inForeground, UNWAITING } from '../kit/terminal.js';

/** What a terminal sends to those in its background that read from it, or, with `stty tostop`, write to it. */
const JOB_SIGNALS = ['SIGTTIN', 'SIGTTOU'] as const;

let told: (signal: NodeJS.Signals) => void = () => {};
let minds = false;

const hear = (signal: NodeJS.Signals): void => told(signal);

/**
 * With a controlling terminal these two may be its own: neither stops us, wherever we run, and `listener` hears of them
 * (`fg` and `bg` are said by SIGCONT, which needs nobody). Only around our own reads and writes of a terminal they do what they
 * do to any job, see {@link asAnyJob}.
 */
export function mindTerminal(listener: (signal: NodeJS.Signals) => void = told): void {
  told = listener;
  if (minds) return;
  minds = true;
  for (const name of JOB_SIGNALS) process.on(name, hear);
}

/**
 * For a read or a write of a terminal. From the background it raises the signal, and where that is handled it turns round for
 * ever inside the kernel, deaf to everything: unhandled it stops the job until `fg`. In the foreground it never does.
 */
export function asAnyJob<T>(signal: typeof JOB_SIGNALS[number], run: () => T): T {
  if (!minds) return run();
  process.off(signal, hear);
  try {
    return run();
  } finally {
    process.on(signal, hear);
  }
}

/** How often a terminal is looked at, ms: nobody types faster than that. */
const LOOK = 150;
/** A line longer than this is none for us. */
const LONGEST = 1_000;

/**
 * Calls back for each line typed at the terminal, or that comes through a pipe; returns what ends it. In the background a
 * terminal is not read (`&`, Ctrl-Z and `bg`): what is typed is the shell's, and who reads it all the same is stopped by the
 * kernel, or turns round for ever where he handles that signal. A stream of Node's reads whenever something is there, so a
 * terminal is looked at by time, each time after asking whose it is.
 */
export function onLine(listener: (line: string) => void): () => void {
  const terminal = isatty(0) ? openTerminal() : null;
  const lines = splitter(listener);
  return terminal === null ? readStream(lines) : readTerminal(terminal, lines);
}

type Take = (chunk: Buffer) => void;

function splitter(listener: (line: string) => void): Take {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk.toString()).split(/\r?\n/);
    rest = (lines.pop() ?? '').slice(-LONGEST);
    for (const line of lines) listener(line.trim());
  };
}

/** Beside the shell, which has it too. Null: Windows, which knows no background. */
function openTerminal(): number | null {
  for (const path of process.platform === 'win32' ? [] : ['/proc/self/fd/0', '/dev/tty']) {
    try {
      return openSync(path, constants.O_RDONLY | UNWAITING);
    } catch {
      // Another user's, or there is no such file here.
    }
  }
  return null;
}

function readTerminal(fd: number, take: Take): () => void {
  const buffer = Buffer.alloc(LONGEST);
  const asked = asking();
  const look = () => {
    if (!(inForeground() ?? asked.foreground)) return;
    try {
      // Ctrl-Z and `bg` may come in between.
      for (let length; (length = asAnyJob('SIGTTIN', () => readSync(fd, buffer))) > 0;) take(buffer.subarray(0, length));
    } catch (error) {
      // EAGAIN: nobody has typed anything. Else it is gone.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') end();
    }
  };
  const timer = setInterval(look, LOOK).unref();
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    clearInterval(timer);
    asked.end();
    closeSync(fd);
  };
  return end;
}

/** How often `ps` is asked in the background, ms; in the foreground at SIGCONT alone, which comes with `bg` and `fg`. */
const ASK = 2_000;

/** Where the kernel does not tell at once (no /proc), `ps` does: a `+` in the state of those in the foreground. */
function asking(): { readonly foreground: boolean; end(): void } {
  const known = { foreground: false, end() {} };
  if (inForeground() !== undefined) return known;
  const ask = () => execFile('ps', ['-o', 'stat=', '-p', String(process.pid)], { timeout: ASK }, (error, stdout) => {
    known.foreground = !error && stdout.includes('+');
  });
  const continued = () => {
    known.foreground = false;
    ask();
  };
  const timer = setInterval(() => { if (!known.foreground) ask(); }, ASK).unref();
  process.on('SIGCONT', continued);
  known.end = () => {
    clearInterval(timer);
    process.off('SIGCONT', continued);
  };
  ask();
  return known;
}

function readStream(take: Take): () => void {
  const { stdin } = process;
  stdin.on('error', () => {});
  stdin.on('data', take);
  stdin.unref?.();
  return () => {
    stdin.off('data', take);
    stdin.pause();
  };
}
