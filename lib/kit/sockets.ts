import { execFile } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import net, { type AddressInfo, type ListenOptions, type Server } from 'node:net';
import path from 'node:path';
import { show } from './misuse.js';

/**
 * Resolves when the server listens; rejects with what Node says where it cannot. `internal`: it is no app's; where both are in one
 * process, those of the app are drained, and this one is not.
 */
export function listen(server: Server, where: ListenOptions & { internal?: boolean }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Bytes; the system cuts a longer name, or Node refuses it. */
const LONGEST_SOCKET = ({ win32: Infinity, linux: 107 } as Partial<Record<NodeJS.Platform, number>>)[process.platform] ?? 103;

/** Why no unix socket can have this path, after a place; undefined: one can. */
export function socketPathFault(file: unknown): string | undefined {
  if (typeof file !== 'string' || file === '') return `expected a file path, found ${show(file)}`;
  if (file.includes('\0')) return `expected a file path without NUL, found ${show(file)}`;
  const bytes = Buffer.byteLength(file);
  return bytes <= LONGEST_SOCKET ? undefined : `expected at most ${LONGEST_SOCKET} bytes, as the system allows, found ${bytes} in ${file}`;
}

/** Makes a directory and those above it. Not `recursive`, which never returns for a path in /proc. */
export function makeDirs(dir: string): void {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory()) return;
  if (path.dirname(dir) !== dir) makeDirs(path.dirname(dir));
  try {
    mkdirSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(dir).isDirectory()) throw error;
  }
}

/** Who may connect to a unix socket; what is undefined is as the system makes it. */
export interface SocketAccess {
  mode?: number;
  gid?: number;
}

/** As a configuration says it: an octal text, and a name or a number. */
export const socketAccess = ({ mode, group }: { mode?: string; group?: string | number }): SocketAccess => ({
  mode: mode === undefined ? undefined : parseInt(mode.replace(/^0o/, ''), 8),
  gid: group === undefined ? undefined : groupId(group),
});

/** Throws the system's error: EPERM where the user is not of that group. */
export function grantAccess(file: string, { mode, gid }: SocketAccess): void {
  if (process.platform === 'win32') return;
  if (gid !== undefined) chownSync(file, -1, gid);
  if (mode !== undefined) chmodSync(file, mode);
}

/** Names that another source of the system than the file knows. */
const learned = new Map<string, number>();

/** The groups of this machine's own file, by name. */
export function localGroups(): Map<string, number> {
  try {
    return new Map(readFileSync('/etc/group', 'utf8').split('\n').flatMap((line): [string, number][] => {
      const [name = '', , id] = line.split(':');
      return id === undefined || !/^\d+$/.test(id) ? [] : [[name, Number(id)]];
    }));
  } catch {
    return new Map();
  }
}

/** Undefined where nobody knows it; what is not in the file is known once {@link learnGroup} has asked. */
export function groupId(group: string | number): number | undefined {
  if (typeof group === 'number' || /^\d+$/.test(group)) return Number(group);
  return localGroups().get(group) ?? learned.get(group);
}

/** Milliseconds that a directory of users elsewhere may take. */
const DIRECTORY = 3_000;

/** Asks the system for a group that is not in its file (LDAP, macOS). */
export async function learnGroup(group: unknown): Promise<void> {
  if (typeof group !== 'string' || groupId(group) !== undefined || process.platform === 'win32') return;
  const [command, args] = process.platform === 'darwin'
    ? ['dscacheutil', ['-q', 'group', '-a', 'name', group]] as const
    : ['getent', ['group', '--', group]] as const;
  const said = await new Promise<string>((resolve) => {
    execFile(command, args, { timeout: DIRECTORY, killSignal: 'SIGKILL' }, (error, out) => resolve(error ? '' : out));
  });
  const id = /^gid: (\d+)$/m.exec(said)?.[1] ?? /^[^:]+:[^:]*:(\d+):/.exec(said)?.[1];
  if (id !== undefined) learned.set(group, Number(id));
}

/** Whether the system lets this user give what it has to that group. */
export const mayGive = (gid: number): boolean =>
  !process.getuid || process.getuid() === 0 || process.getegid?.() === gid || (process.getgroups?.() ?? []).includes(gid);

const WORDS: Readonly<Record<string, (place: string, where: string) => string>> = {
  EADDRINUSE: (place) => `${place} is taken by another process`,
  EACCES: (place) => `${place} may not be used by this user`,
  EADDRNOTAVAIL: (_, where) => `${where} is no address of this machine`,
};

/** `bind EADDRINUSE null:3000` in words, with what was said behind it; undefined for what is no failure of a listen. */
export function listenErrorInWords(said: string): string | undefined {
  const [, code = '', where = ''] = /^(?:listen|bind) (E[A-Z]+)\b.*?(\S+)$/.exec(said) ?? [];
  const port = /:(\d+)$/.exec(where)?.[1];
  const words = WORDS[code]?.(port === undefined ? where : `port ${port}`, where);
  // Node writes null for all addresses.
  return words && `${words} (${said.replace(/ null:(?=\d+$)/, ' port ')})`;
}

/** An address as a person would type it. */
export function formatAddress(
  { protocol, host, port, path }: { protocol: string; host?: string; port?: number; path?: string },
): string {
  if (path !== undefined) return `unix:${path}`;
  const anywhere = host === undefined || host === '::' || host === '0.0.0.0';
  const name = anywhere ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `${protocol === 'http2' ? 'https' : protocol}://${name}:${port}`;
}

/** A free port on the loopback interface: a framework's agent may serve its workers there (`clusterPort` of its options). */
export async function freeClusterPort(): Promise<number> {
  const server = net.createServer();
  await listen(server, { port: 0, host: '127.0.0.1' });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Removes a unix socket that a dead process has left behind: nobody could listen there any more. */
export async function removeStaleSocket(file: string): Promise<void> {
  if (statSync(file, { throwIfNoEntry: false, bigint: true })?.isSocket() && !await answers(file)) rmSync(file, { force: true });
}

function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(file);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
  });
}

/** Whether that process listens on the TCP port; where the system does not tell (not Linux), false. Reads files, and blocks for it. */
export function listensOn(pid: number, port: number): boolean {
  try {
    const lines = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, 'latin1').split('\n'));
    const sockets = new Set(lines.map((line) => line.trim().split(/\s+/))
      .filter(([, local = '', , state]) => state === LISTENING && Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16) === port)
      .map((fields) => `socket:[${fields[9]}]`));
    return sockets.size > 0 && readdirSync(`/proc/${pid}/fd`).some((fd) => sockets.has(readlinkSync(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return false;
  }
}

/** As the kernel writes it. */
const LISTENING = '0A';
