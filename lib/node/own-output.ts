import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';
import { UNWAITING, isControlling } from '../kit/terminal.js';

/** A way to write to what a descriptor stands for, without ever waiting for who reads it: a full pipe is EAGAIN there. */
export interface OwnOutput {
  readonly fd: number;
  /** Before each write. */
  ready(): void;
  /** What was opened for it; the descriptor itself stays. */
  close(): void;
}

type Blocking = { setBlocking?(wait: boolean): number; fd?: number };

/**
 * Whether a write waits is said once for all who share a pipe or a terminal: the shell, the children, a pipeline's other
 * programs. So they are opened once more, for us alone. A socket (of a parent that is Node, of journald) cannot be: Node makes
 * it non-blocking for all, as it does for `process.stdout`, and as each fork undoes that, it is said before each write.
 * Null: a file, which knows no other way, or a pipe that nobody reads.
 */
export function ownOutput(fd: number): OwnOutput | null {
  const stat = fstatSync(fd, { bigint: true });
  const terminal = isatty(fd);
  if (stat.isFIFO() || terminal) {
    const again = reopened(fd, terminal && isControlling(Number(stat.rdev)));
    if (typeof again === 'number') return { fd: again, ready() {}, close: () => closeSync(again) };
    // Nobody reads: it says so at once, and somebody may come.
    if (again === 'ENXIO') return null;
  }
  return fd <= 2 && (stat.isFIFO() || stat.isSocket()) ? unblocked(fd) : null;
}

function reopened(fd: number, controlling: boolean): number | string {
  let code = '';
  // A terminal that belongs to somebody else (`su`) can be opened by its name alone.
  for (const path of process.platform === 'linux' ? [`/proc/self/fd/${fd}`, '/dev/tty'] : ['/dev/tty']) {
    if (path === '/dev/tty' && !controlling) continue;
    try {
      return openSync(path, constants.O_WRONLY | UNWAITING);
    } catch (error) {
      code ||= (error as NodeJS.ErrnoException).code ?? '';
    }
  }
  return code;
}

const handleOf = (socket: Socket): Blocking | null => (socket as unknown as { _handle: Blocking | null })._handle;

/** Kept for ever: a socket that is forgotten closes its descriptor. */
const kept = new Map<number, Socket>();

function unblocked(fd: number): OwnOutput | null {
  try {
    const socket = kept.get(fd) ?? new Socket({ fd, readable: false, writable: true });
    kept.set(fd, socket);
    const handle = handleOf(socket);
    if (!handle?.setBlocking) return null;
    return { fd, ready: () => { handle.setBlocking?.(false); }, close() {} };
  } catch {
    return null;
  }
}

/** More is not in a pipe that nobody fills meanwhile; in pieces. */
const MOST = 64;
const PIECE = 64 * 1024;

/**
 * What a child's output holds by now, read at once: at the end of the child, or of this process, nothing is left for the next
 * turn of the event loop.
 */
export function unread(stream: Socket): Buffer[] {
  const fd = handleOf(stream)?.fd ?? -1;
  const pieces: Buffer[] = [];
  try {
    while (fd >= 0 && pieces.length < MOST) {
      const piece = Buffer.allocUnsafe(PIECE);
      const length = readSync(fd, piece);
      if (length === 0) break;
      pieces.push(piece.subarray(0, length));
    }
  } catch {
    // EAGAIN: that was all.
  }
  return pieces;
}

/** Descriptors for a child's standard output and error, or pipes to this process. */
interface Stdio { out: number | 'pipe'; err: number | 'pipe' }

/**
 * Starts a child whose pipes are its own: a fork makes those that it is given waiting ones (libuv does, in the child), for all
 * who share them, and a worker that prints would sleep in its next line until somebody reads.
 */
export function withOwnPipes<T>(stdio: Stdio, start: (own: Stdio) => T): T {
  const opened: number[] = [];
  const own = (fd: number | 'pipe'): number | 'pipe' => {
    if (process.platform !== 'linux' || fd === 'pipe') return fd;
    try {
      if (!fstatSync(fd, { bigint: true }).isFIFO()) return fd;
      opened.push(openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | UNWAITING));
      return opened.at(-1) as number;
    } catch {
      // Nobody reads it, it is another user's, or no descriptor is left.
      return fd;
    }
  };
  try {
    return start({ out: own(stdio.out), err: own(stdio.err) });
  } finally {
    for (const fd of opened) closeSync(fd);
    for (const fd of kept.keys()) unblocked(fd)?.ready();
  }
}

/** The handle of an output sets O_NONBLOCK and takes it away. */
export async function probe(): Promise<string | null> {
  if (process.platform !== 'linux' || !fstatSync(1, { bigint: true }).isSocket()) return null;
  const way = unblocked(1);
  if (!way) return '`setBlocking` of a stream\'s handle is gone: lines to a socket that nobody reads make the master wait';
  const handle = handleOf(kept.get(1) as Socket);
  if (handle?.fd !== 1) return 'a stream\'s handle does not tell its descriptor: last lines of a child may come after its end is told';
  handle.setBlocking?.(true);
  const before = unblocks(1);
  way.ready();
  return !before && unblocks(1) ? null : '`setBlocking` of a stream\'s handle does not say whether a write waits';
}

/** Whether a write does not wait (Linux). */
function unblocks(fd: number): boolean {
  const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '0';
  return (Number.parseInt(flags, 8) & constants.O_NONBLOCK) !== 0;
}
