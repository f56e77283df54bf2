import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Standard descriptors that were a terminal when this process began; one that is gone is no terminal any more. */
const terminals = [0, 1, 2].filter((fd) => isatty(fd));

export const startedAtTerminal = terminals.length > 0;

/** A pipe leads to others of the same job (`| tee log`), who may touch the terminal, and its signals are for all of the job. */
const meetsTerminal = startedAtTerminal || [0, 1, 2].some(isPipe);

function isPipe(fd: number): boolean {
  try {
    return fstatSync(fd, { bigint: true }).isFIFO();
  } catch {
    // It was closed at the start.
    return false;
  }
}

let outlives = false;

/**
 * Node puts a terminal back at its exit as it was, and Node 20 aborts where the terminal is gone meanwhile (SIGABRT or SIGSEGV
 * in place of the exit code, and a core file). What was opened in its place it leaves alone.
 */
export function outliveTerminal(): void {
  if (outlives || !startedAtTerminal || process.platform === 'win32') return;
  outlives = true;
  process.on('exit', () => {
    for (const fd of terminals.filter((one) => !isatty(one))) {
      closeSync(fd);
      // The lowest number that is free.
      openSync('/dev/null', 'r+');
    }
  });
}

/** https://no-color.org and FORCE_COLOR; else colours are for terminals. */
export function takesColors(fd: 1 | 2): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  if (NO_COLOR) return false;
  return isatty(fd) && TERM !== 'dumb';
}

/** Opens a terminal, or a pipe, beside those who have it open: reads and writes of this descriptor wait for nobody. */
export const UNWAITING = (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

interface Job {
  /** Process group. */
  group: number;
  /** Device number of the controlling terminal; 0: there is none. */
  terminal: number;
  /** The process group that the terminal is for at the moment. */
  foreground: number;
}

/** What the kernel says of this process and its terminal; null where there is no /proc. */
function job(): Job | null {
  try {
    // The name in brackets may hold spaces and brackets itself: state is the first field after it.
    const [, , group, , terminal, foreground] = readFileSync('/proc/self/stat', 'latin1').replace(/^.*\) /s, '').split(' ').map(Number);
    return { group: group!, terminal: terminal!, foreground: foreground! };
  } catch {
    return null;
  }
}

/** Whether a terminal may stop this process, or signal it: `setsid`, a service manager and `--daemon` leave none. */
export function hasControllingTerminal(): boolean {
  const known = job();
  if (known) return known.terminal !== 0;
  try {
    closeSync(openSync('/dev/tty', constants.O_RDONLY | UNWAITING));
    return true;
  } catch {
    return false;
  }
}

/** Whether SIGTTIN and SIGTTOU may come from there; with plain files alone (`nohup`, `>log 2>&1 </dev/null &`) a person sends them. */
export const signalledByTerminal = (): boolean => meetsTerminal && hasControllingTerminal();

/** Whether `device` (`fstat`'s `rdev`) is the terminal that controls this process, as far as that can be known. */
export const isControlling = (device: number): boolean => (job()?.terminal ?? device) === device;

/**
 * Whether the terminal that controls this process is for it at the moment: false in the background (`&`, Ctrl-Z and `bg`) and
 * without such a terminal; undefined where nothing tells at once.
 */
export function inForeground(): boolean | undefined {
  const known = job();
  return known ? known.terminal !== 0 && known.group === known.foreground : undefined;
}
