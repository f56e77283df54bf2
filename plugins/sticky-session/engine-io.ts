import type { IncomingMessage } from 'node:http';
import { seeEmitters } from '../../lib/runtime.js';
import { queryOf } from './request-key.js';

/** What an Engine.IO server is known by, bundled or not, from its first version on; Socket.IO speaks through one. */
interface Engine {
  generateId(request: unknown): string | Promise<string>;
  handshake: unknown;
  clients?: Record<string, { transport?: Transport; writeBuffer?: readonly unknown[]; close(): void }>;
}
interface Transport {
  name: string;
  writable?: boolean;
  dataReq?: unknown;
  /** The poll that waits for its answer. */
  req?: IncomingMessage & { cleanup?: () => void } | null;
  onError?(message: string): void;
}
type GenerateId = (request: unknown) => string | Promise<string>;

/**
 * A Socket.IO session lives in the process that made it, and all that its client says later is the session's id. So each id
 * ends with the number of its process. The servers are found where every EventEmitter is made, so that no app has to give them
 * to us.
 */
export function markSessions(id: number): { engines: ReadonlySet<Engine> } {
  const engines = new Set<Engine>();
  seeEmitters((emitter) => {
    if (!('generateId' in emitter && 'handshake' in emitter)) return;
    mark(emitter as Engine, id);
    engines.add(emitter as Engine);
  });
  return { engines };
}

/** The process that a request's session lives in; undefined: the request begins one, or is none of Socket.IO's. */
export function sessionOwner(request: IncomingMessage): number | undefined {
  const sid = queryOf(request, 'sid');
  const owner = sid && /~([0-9a-z]{1,8})$/.exec(sid)?.[1];
  return owner ? parseInt(owner, 36) : undefined;
}

/** Milliseconds between two looks. */
const LOOK = 20;

/**
 * Long-polling sessions do not end by themselves: each poll is answered and followed by the next. Their clients connect anew,
 * to another worker. Each is told in the answer to its poll, while it sends nothing itself: that request would be cut.
 */
export function endPolling(engines: Iterable<Engine>): void {
  const look = () => {
    for (const { clients = {} } of engines) {
      for (const client of Object.values(clients)) {
        const { transport, writeBuffer } = client;
        if (transport?.name === 'polling' && transport.writable && !transport.dataReq && !writeBuffer?.length) client.close();
      }
    }
  };
  look();
  setInterval(look, LOOK).unref();
}

/** Milliseconds in which the master tells of a death. */
const NEWS = 500;

/**
 * A poll that was sent on to this process is cut when the worker that sent it dies. Engine.IO would end the session, as it
 * does when a client leaves its poll; but a proxy repeats the poll, and would hear that the session is unknown. So its
 * transport is put where it is between two polls; a client that has left, with `senderLives`, ends its session all the same.
 */
export function keepPoll(engines: Iterable<Engine>, request: IncomingMessage, senderLives: () => boolean): void {
  const sid = request.method === 'GET' ? queryOf(request, 'sid') : undefined;
  if (sid === undefined) return;
  const { socket } = request;
  const cut = () => {
    for (const { clients = {} } of engines) {
      const transport = clients[sid]?.transport;
      if (!transport || transport.req !== request || !transport.req.cleanup) continue;
      transport.req.cleanup();
      transport.writable = false;
      setTimeout(() => {
        if (!senderLives() || transport.req || clients[sid]?.transport !== transport) return;
        transport.onError?.('poll connection closed prematurely');
      }, NEWS).unref();
    }
  };
  for (const event of ['end', 'close']) socket.prependOnceListener(event, cut);
  request.once('close', () => {
    for (const event of ['end', 'close']) socket.off(event, cut);
  });
}

/** The app may have ids of its own (`io.engine.generateId = ...`), which are marked as well. */
function mark(engine: Engine, id: number): void {
  let own: GenerateId | undefined;
  const marked = (value: string) => `${value}~${id.toString(36)}`;
  const generate: GenerateId = (request) => {
    const value = (own ?? (Object.getPrototypeOf(engine) as Engine).generateId).call(engine, request);
    return typeof value === 'string' ? marked(value) : value.then(marked);
  };
  Object.defineProperty(engine, 'generateId', {
    configurable: true,
    enumerable: true,
    get: () => generate,
    set: (value: GenerateId) => { own = value; },
  });
}
