import path from 'node:path';
import type { Server } from 'node:net';
import type { ListenOptions } from '../api/runtime.js';
import type { BootInfo } from '../ipc/messages.js';
import { handleOf } from '../node/raw-sockets.js';

/** The forms `listen` can be called in, as one options object of our own: a tap may change it and the caller's stays as it was. */
export function toListenOptions(args: unknown[]): { options: ListenOptions; callback?: () => void } {
  const [first, ...rest] = args;
  const last = args.at(-1);
  const callback = typeof last === 'function' ? last as () => void : undefined;
  const options: ListenOptions = {};
  if (typeof first === 'object' && first !== null) {
    const handle = handleIn(first);
    if (handle) options.handle = handle;
    else Object.assign(options, first);
    if ('port' in first && options.port == null) options.port = 0;
  } else if (isPipeName(first)) {
    options.path = first;
  } else {
    options.port = first === undefined || first === null || typeof first === 'function' ? 0 : first as number;
    if (typeof rest[0] === 'string') options.host = rest[0];
  }
  const backlog = rest.slice(0, 2).find((value) => value != null && typeof value !== 'function' && Number(value) > 0);
  if (options.backlog === undefined && backlog !== undefined) options.backlog = Number(backlog);
  return { options, callback };
}

/** A server or socket carries its handle; a bare handle can listen itself. */
function handleIn(value: object): unknown {
  const { handle, listen } = value as { handle?: unknown; listen?: unknown };
  return handleOf(value as Server) ?? handle ?? (typeof listen === 'function' ? value : undefined);
}

const isPipeName = (value: unknown): value is string => typeof value === 'string' && !(Number(value) >= 0);

/** What a server was told to listen on, seen from the cluster. */
export interface Asked {
  /** `*:7001`, `127.0.0.1:9100`, a path: the same in each worker that asks for it. */
  name: string;
  /** It is what the configuration says. */
  configured: boolean;
  /** In this process alone, or under a name that another one does not have. */
  own: boolean;
}

/** Hosts that stand for all addresses. */
const EVERYWHERE = new Set<unknown>([undefined, null, '', '::', '0.0.0.0']);

/** Ports that the system chose for this process: whoever lets one go to listen there again, has one that no other process gets. */
const chosen = new Set<number>();
/** As many are remembered. */
const MOST_CHOSEN = 1_000;

export function noteChosen(port: number | undefined, { name }: Asked): void {
  if (port !== undefined && name.endsWith(':0') && chosen.size < MOST_CHOSEN) chosen.add(port);
}

/** `options` as the app gave them. */
export function askedFor(options: ListenOptions, wanted: BootInfo['listen']): Asked {
  const { port, host, fd, exclusive } = options;
  if (typeof options.path === 'string') {
    const file = path.resolve(options.path);
    return { name: file, configured: file === wanted.path, own: exclusive === true || file.includes(String(process.pid)) };
  }
  if (port === undefined) return { name: `fd:${fd}`, configured: false, own: fd === undefined };
  const number = Number(port);
  const configured = wanted.path === undefined && number === wanted.port;
  const name = `${EVERYWHERE.has(host) ? '*' : host}:${number}`;
  return { name, configured, own: exclusive === true || number === 0 || chosen.has(number) };
}

/** Puts a server where the cluster wants it: on an inherited socket, or beside its siblings. */
export function place(options: ListenOptions, asked: Asked, wanted: BootInfo['listen'], speaksHttp: boolean): void {
  const { port } = options;
  const inherited = wanted.inherited?.[String(port ?? options.path)];
  if (inherited !== undefined) {
    // The descriptor is the master's, who listens on it; an exclusive server would open it in this process.
    for (const key of ['port', 'host', 'path', 'exclusive']) delete options[key];
    options.fd = inherited;
    return;
  }
  // Where the cluster is to be found all workers are, whatever a server library has by default (srvx). Elsewhere `exclusive` is
  // meant: a leader's port is how cluster-client finds out who leads.
  if (asked.configured || (!wanted.named && speaksHttp && Number(port) > 0)) {
    delete options.exclusive;
    delete options.reusePort;
    asked.own = Number(port) === 0 || chosen.has(Number(port));
  }
}
