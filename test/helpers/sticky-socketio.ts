import { stickyCluster } from './sticky.js';
import { keepAliveProxy, startNginx } from './proxies.js';
import type { Scope } from './cluster.js';
import { io, type Socket } from 'socket.io-client';

/** Stock Socket.IO clients that ask for an echo again and again, and what became of them. */
export class SocketClients {
  readonly sockets: Socket[] = [];
  readonly errors = new Map<string, number>();
  /** Codes of the close frames that ended connections. */
  readonly codes = new Map<number, number>();
  connects = 0;
  echoes = 0;
  /** Answers by another process than the one that greeted. */
  strangers = 0;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #pids = new Map<Socket, number>();
  /** performance.now() of the last echo. */
  readonly #echoed = new Map<Socket, number>();

  constructor(url: string, count: number, options: { pause?: number; transports?: string[] } = {}) {
    for (let n = 0; n < count; n++) this.#open(url, options);
  }

  get connected(): number {
    return this.sockets.filter((socket) => socket.connected).length;
  }

  /** Connected by WebSocket, so through all of polling, probe and upgrade. */
  get upgraded(): number {
    return this.sockets.filter((socket) => socket.connected && socket.io.engine?.transport.name === 'websocket').length;
  }

  /** Every client connected and greeted, within `deadline` ms. */
  async settle(deadline: number): Promise<boolean> {
    const end = performance.now() + deadline;
    while (performance.now() < end) {
      if (this.connected === this.sockets.length && [...this.#pids.keys()].length === this.sockets.length) return true;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return false;
  }

  /** Every client has had an echo from now on, within `deadline` ms: one may believe itself connected. Gives those that have not. */
  async unserved(deadline: number): Promise<Socket[]> {
    const began = performance.now();
    const silent = () => this.sockets.filter((socket) => (this.#echoed.get(socket) ?? 0) < began);
    while (silent().length > 0 && performance.now() < began + deadline) await new Promise((resolve) => setTimeout(resolve, 25));
    return silent();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.sockets) socket.disconnect();
  }

  #open(url: string, { pause = 250, transports }: { pause?: number; transports?: string[] }): void {
    const socket = io(url, {
      forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500, timeout: 5_000, ...(transports ? { transports } : {}),
    });
    this.sockets.push(socket);
    socket.on('connect', () => {
      this.connects++;
      socket.io.engine.once('close', (reason, detail) => {
        const { context } = (detail ?? {}) as { context?: { responseText?: string; code?: number } };
        if (context?.code !== undefined) this.codes.set(context.code, (this.codes.get(context.code) ?? 0) + 1);
        this.#count(`closed: ${reason} ${context?.responseText ?? ''}`.trim());
      });
    });
    socket.on('hello', ({ pid }: { pid: number }) => this.#pids.set(socket, pid));
    socket.on('connect_error', (error: Error & { context?: { responseText?: string } }) => {
      this.#count(`${error.message} ${error.context?.responseText ?? ''}`.trim());
    });
    socket.on('disconnect', (reason) => {
      this.#pids.delete(socket);
      this.#count(`disconnect: ${reason}`);
    });
    this.#timers.push(setInterval(() => {
      const pid = this.#pids.get(socket);
      if (!socket.connected || pid === undefined) return;
      socket.timeout(5_000).emit('echo', 1, (error: Error | null, answer?: { pid: number }) => {
        if (error || !answer) return;
        this.echoes++;
        this.#echoed.set(socket, performance.now());
        if (answer.pid !== pid && this.#pids.get(socket) === pid) this.strangers++;
      });
    }, pause));
  }

  #count(what: string): void {
    this.errors.set(what, (this.errors.get(what) ?? 0) + 1);
  }
}

export interface SessionTrial {
  clients: number;
  reloads: number;
  /** Numbers of workers to scale to, one after the other. */
  scale: number[];
  kills: number;
  nginx: boolean;
  /** How long WebSockets are left open at a drain, ms. */
  upgradeTimeout: number;
}

/**
 * Socket.IO through reloads, scaling and deaths. Throws when a session was unknown while its process lived, or a client did not
 * come back.
 */
export async function sessionTrial(
  scope: Scope, { clients: count, reloads, scale, kills, nginx, upgradeTimeout }: SessionTrial,
): Promise<string> {
  const cluster = await stickyCluster(scope, { mode: 'request', key: 'socket.io' }, {
    app: 'sticky-socketio', env: { KEEP_ALIVE: '1000' }, config: { plugins: { 'graceful-exit': { upgradeTimeout } } },
  });
  const port = nginx ? await startNginx(scope, (own) => keepAliveProxy(own, `127.0.0.1:${cluster.port}`)) : cluster.port;
  const clients = new SocketClients(`http://127.0.0.1:${port}`, count);
  scope.after(() => clients.close());
  const killed = new Set<number>();
  const back = async (after: string) => {
    if (!await clients.settle(20_000)) throw new Error(`${count - clients.connected} of ${count} clients are not back `
      + `after ${after}: ${JSON.stringify([...clients.errors])}\n${cluster.output.slice(-2_000)}`);
  };
  const command = async (name: string, args: string[] = []) => {
    const { code, stderr } = await cluster.run(name, args, 120_000);
    if (code !== 0) throw new Error(`${name} ${args.join(' ')}: ${stderr}`);
    await back(`${name} ${args.join(' ')}`);
  };
  await back('the start');
  for (let n = 0; n < reloads; n++) await command('reload');
  for (const to of scale) await command('scale', [String(to)]);
  for (let n = 0; n < kills; n++) {
    const ready = (await cluster.status()).workers.filter((worker) => worker.state === 'ready');
    const { pid } = ready[n % ready.length]!;
    killed.add(pid);
    process.kill(pid, 'SIGKILL');
    await cluster.waitFor(new RegExp(`:${pid} \\(slot \\d+\\) (?!started)[^]*\\) started`));
    await back('kill -9');
  }
  const unserved = (await clients.unserved(10_000))
    .map(({ io: { engine } }) => ({ id: engine.id, ...engine.transport as unknown as { name: string; readyState: string } }));
  // An upgrade was cut in the moment in which the client changed over: engine.io-client (`if (failed) return` in its probe)
  // leaves its polling paused then, or pausing until its poll is answered, and that until its ping time-out. All others are
  // to be served.
  const paused = unserved.filter(({ readyState }) => ['paused', 'pausing'].includes(readyState)).length;
  if (unserved.length > paused) throw new Error(`${unserved.length} clients are connected and not served: `
    + `${JSON.stringify(unserved.map(({ id, name, readyState }) => [name, readyState, id]))}\n${cluster.output.slice(-6_000)}`);
  const wrong = unknownSessions(cluster.output, killed);
  if (wrong.length > 0) throw new Error(`sessions unknown while their process lived: ${wrong.join(', ')}\n${cluster.output.slice(-3_000)}`);
  if (clients.strangers > 0) throw new Error(`${clients.strangers} answers came from another worker`);
  return `${count} clients, ${clients.connects} connects, ${clients.echoes} echoes, ${clients.upgraded} upgraded at the end, `
    + `${paused} left paused by engine.io-client; ${JSON.stringify(Object.fromEntries(clients.errors))}`;
}

/** "Session ID unknown" for sessions of a process that had not been told to go: their ids name the process. */
export function unknownSessions(output: string, killed: ReadonlySet<number> = new Set()): string[] {
  return [...output.matchAll(/UNKNOWN SESSION (\S+) at/g)].filter(({ 1: sid, index }) => {
    const id = parseInt((sid as string).split('~')[1] ?? '', 36);
    const before = output.slice(0, index);
    const pid = Number(new RegExp(`app_worker#${id}:(\\d+) \\(slot (\\d+)\\) started`).exec(before)?.[1]);
    const slot = Number(new RegExp(`app_worker#${id}:\\d+ \\(slot (\\d+)\\) started`).exec(before)?.[1]);
    const reduced = /from \d+ to (\d+) workers(?![^]*from \d+ to)/.exec(before)?.[1];
    return !killed.has(pid) && !before.includes(`draining pid ${pid}`) && !(reduced !== undefined && slot >= Number(reduced));
  }).map(([line]) => line);
}
