import { spawn } from 'node:child_process';
import net, { Socket, type Server } from 'node:net';
import { listen } from '../kit/sockets.js';
import { inTime } from '../kit/time.js';
import { slowPath } from './slow-paths.js';

/** What a process does not tell by documented means: its open sockets, another one's inspector, the making of its output streams. */
export const probe = async (): Promise<string | null> => probeStreams() ?? await probeSockets() ?? await probeInspector();

const { _getActiveHandles: activeHandles } = process as unknown as { _getActiveHandles?(): unknown[] };

/**
 * Open sockets that came in through a server. The process knows its sockets, and a socket its server, so nothing has to be
 * counted while they come and go; of a TLS server it is the sockets below.
 */
export function openSockets(server: Server): Socket[] {
  if (!activeHandles) {
    slowPath('Node does not tell its open sockets: what is upgraded, and plain TCP, is not ended before a drain\'s deadline');
    return [];
  }
  return activeHandles.call(process).filter((handle): handle is Socket =>
    handle instanceof Socket && !handle.destroyed && Reflect.get(handle, 'server') === server);
}

/**
 * Servers of this process that listen or have connections. Not those that were told to keep no process alive (`unref`), nor a
 * cluster worker's that accepts nothing by itself and has no connection yet.
 */
export function openServers(): Server[] {
  if (!activeHandles) slowPath('Node does not tell its open servers: those from before `hatchery/drain` was imported are not drained');
  const found = (activeHandles?.call(process) ?? []).map((handle) => (handle instanceof Socket ? Reflect.get(handle, 'server') : handle));
  return [...new Set(found.filter((one): one is Server => one instanceof net.Server))];
}

/** Of two connections each server finds its own. */
async function probeSockets(): Promise<string | null> {
  if (!activeHandles) return '`process._getActiveHandles` is gone';
  const [one, other] = [net.createServer(), net.createServer()];
  await Promise.all([listen(one, { port: 0, host: '127.0.0.1' }), listen(other, { port: 0, host: '127.0.0.1' })]);
  const clients = [one, other].map((server) => net.connect((server.address() as net.AddressInfo).port, '127.0.0.1'));
  try {
    const [socket] = await Promise.all([one, other].map((server) => new Promise<Socket>((resolve) => server.once('connection', resolve))));
    const found = openSockets(one);
    if (found.length !== 1 || found[0] !== socket) return `of a server's one connection \`_getActiveHandles\` shows ${found.length}`;
    if (![one, other].every((server) => openServers().includes(server))) return 'a server that listens is not in `_getActiveHandles`';
    socket?.destroy();
    return openSockets(one).length === 0 ? null : 'a destroyed socket is still shown as open';
  } finally {
    for (const client of clients) client.destroy();
    for (const server of [one, other]) server.close();
  }
}

/**
 * Where the inspectors listen that are opened from outside. On Linux all of 127.0.0.0/8 is the machine itself, so that theirs
 * are told from whatever else a process listens on without asking it.
 */
export const INSPECTOR_HOST = process.platform === 'linux' ? '127.73.78.83' : '127.0.0.1';

/**
 * Opens the inspector of another process, as SIGUSR1 does: it answers on a thread of its own, whatever the JavaScript does.
 * Throws where there is no such process.
 */
export function startInspector(pid: number): void {
  (process as unknown as { _debugProcess(pid: number): void })._debugProcess(pid);
}

/** A process in an endless loop says that its inspector listens. */
async function probeInspector(): Promise<string | null> {
  const LOOP = 'process.stdout.write("up"); for (;;);';
  const child = spawn(process.execPath, [`--inspect-port=${INSPECTOR_HOST}:0`, '-e', LOOP], { stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    await new Promise((resolve, reject) => child.once('error', reject).stdout.once('data', resolve));
    const listens = new Promise<void>((resolve) => child.stderr.on('data', (data) => {
      if (/Debugger listening on ws:/.test(String(data))) resolve();
    }));
    startInspector(child.pid as number);
    await inTime(800, () => listens, () => new Error('`process._debugProcess` does not open the inspector of a process in a loop'));
    return null;
  } finally {
    child.kill('SIGKILL');
  }
}

type Lazy = PropertyDescriptor & { get(): NodeJS.WriteStream };

/**
 * Calls `made` with the process's output stream when it is first used: making it costs a start a millisecond, so Node does
 * it then, behind a property that we put our own before. Returns a function that takes ours away again.
 */
export function whenMade(name: 'stdout' | 'stderr', made: (stream: NodeJS.WriteStream) => void): () => void {
  const lazy = Object.getOwnPropertyDescriptor(process, name) as Lazy;
  if (!isLazy(lazy)) {
    slowPath(`\`process.${name}\` is no lazy property any more: it is made at the start of each process`);
    made(process[name]);
    return () => {};
  }
  let stream: NodeJS.WriteStream | undefined;
  Object.defineProperty(process, name, {
    configurable: true,
    enumerable: true,
    get() {
      if (!stream) {
        stream = lazy.get.call(process);
        made(stream);
      }
      return stream;
    },
  });
  return () => { Object.defineProperty(process, name, lazy); };
}

const isLazy = (property: PropertyDescriptor | undefined): boolean => typeof property?.get === 'function' && property.configurable === true;

/** A stream is met when it is used, and not before. */
function probeStreams(): string | null {
  const before = Object.getOwnPropertyDescriptor(process, 'stderr');
  if (!isLazy(before)) return '`process.stderr` is no configurable getter';
  let met = 0;
  const restore = whenMade('stderr', () => { met++; });
  const early = met;
  const same = process.stderr === process.stderr;
  restore();
  const restored = Object.getOwnPropertyDescriptor(process, 'stderr')?.get === before?.get;
  return early === 0 && met === 1 && same && restored ? null : '`process.stderr` cannot be seen being made';
}
