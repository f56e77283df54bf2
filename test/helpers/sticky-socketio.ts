import { io, type Socket } from 'socket.io-client';

/** Stock Socket.IO clients that ask for an echo again and again, and what became of them. */
export class SocketClients {
  readonly sockets: Socket[] = [];
  readonly errors = new Map<string, number>();
  connects = 0;
  echoes = 0;
  /** Answers by another process than the one that greeted. */
  strangers = 0;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #pids = new Map<Socket, number>();

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

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.sockets) socket.disconnect();
  }

  #open(url: string, { pause = 250, transports }: { pause?: number; transports?: string[] }): void {
    const socket = io(url, { forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500, timeout: 5_000, ...(transports ? { transports } : {}) });
    this.sockets.push(socket);
    socket.on('connect', () => { this.connects++; });
    socket.on('hello', ({ pid }: { pid: number }) => this.#pids.set(socket, pid));
    socket.on('connect_error', (error: Error & { context?: { responseText?: string } }) => this.#count(`${error.message} ${error.context?.responseText ?? ''}`.trim()));
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
        if (answer.pid !== pid && this.#pids.get(socket) === pid) this.strangers++;
      });
    }, pause));
  }

  #count(what: string): void {
    this.errors.set(what, (this.errors.get(what) ?? 0) + 1);
  }
}
