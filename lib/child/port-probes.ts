import net, { type Socket } from 'node:net';
import type { Runtime } from '../api/runtime.js';
import { listensOn } from '../kit/sockets.js';
import type { ListenState } from './server-tracker.js';

/** Names of this machine, as who looks whether a port is taken writes them. */
const LOCAL = /^(?:localhost|127(?:\.\d+){3}|::1|::|0\.0\.0\.0|::ffff:127(?:\.\d+){3})$/;

type Connect = (this: Socket, ...args: unknown[]) => Socket;

/**
 * Until a worker is ready a port that its siblings serve, or those before it, and it does not, refuses what it connects there: as
 * in a plain process, where nobody serves it yet. Some libraries find out in this way whether their port is free, and would move
 * to another one (is-port-reachable, and with it `serve`). Returns what ends it.
 */
export function refuseProbes({ boot: { listen: wanted } }: Runtime, state: ListenState): () => void {
  const prototype = net.Socket.prototype as { connect: Connect };
  const { connect } = prototype;
  const { expected } = wanted;
  const ports = new Set((expected?.others ?? []).map((name) => Number(/:(\d+)$/.exec(name)?.[1])));
  if (expected?.configured && wanted.path === undefined) ports.add(wanted.port);
  let ended = false;
  const isSiblings = (port: number): boolean => !ended && !state.asksFor(port)
    && (expected === null ? listensOn(process.ppid, port) : ports.has(port));

  const refusing: Connect = function refusing(...args) {
    const { port, host } = target(args);
    if (port === undefined || !LOCAL.test(host)) return connect.apply(this, args);
    const { emit } = this;
    // Looked at when it is connected: until then somebody may come to listen.
    const emitUnlessRefused = (name: string, ...said: unknown[]): boolean => {
      const goOn = (): boolean => Reflect.apply(emit, this, [name, ...said]) as boolean;
      if (name !== 'connect' && name !== 'error') return goOn();
      this.emit = emit;
      if (name === 'error' || !isSiblings(port)) return goOn();
      const message = `connect ECONNREFUSED ${host}:${port}`;
      this.destroy(Object.assign(new Error(message), { code: 'ECONNREFUSED', syscall: 'connect', address: host, port }));
      return true;
    };
    this.emit = emitUnlessRefused as typeof emit;
    return connect.apply(this, args);
  };
  prototype.connect = refusing;
  return () => {
    ended = true;
    if (prototype.connect === refusing) prototype.connect = connect;
  };
}

/** The forms `connect` can be called in; of net.connect() the arguments come as one list. */
function target([first, second]: unknown[]): { port?: number; host: string } {
  if (Array.isArray(first)) return target(first);
  if (typeof first === 'object' && first !== null) {
    const { port, path, host } = first as { port?: unknown; path?: unknown; host?: unknown };
    return { port: path || port === undefined ? undefined : Number(port), host: host ? String(host) : 'localhost' };
  }
  return { port: Number(first) >= 0 ? Number(first) : undefined, host: typeof second === 'string' ? second : 'localhost' };
}
