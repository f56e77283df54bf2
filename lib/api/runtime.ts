import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Channel } from '../ipc/channel.js';
import type { Address, BootInfo, ChildRole, CloseReason, Envelope, RequestInFlight } from '../ipc/messages.js';
import type { StepDone, StepOptions } from '../ipc/ready.js';
import type { Logger } from '../kit/logger.js';
import type { Asking, CarryBroadcasts, Messenger, ShareClient } from './messenger.js';

/** Hooks inside a child. tapable's interface; the child has its own small ones, as loading tapable costs every worker 5 ms. */
export interface RuntimeHooks {
  /** Before the app is loaded. */
  boot: ChildHook<[BootInfo], Promise<void>>;
  /** A server was created or found: it is about to listen for the first time. */
  server: ChildHook<[Server], void>;
  /** `listen` options are about to be used; a tap may change them in place. */
  listen: ChildHook<[Server, ListenOptions], void>;
  /** A server listens. */
  listening: ChildHook<[Server, Address], void>;
  /**
   * A request, before the app sees it: HTTP/1, its `Expect: 100-continue` not yet answered, and HTTP/2 alike, where it is served (a
   * request that sticky-session forwards is seen by the worker that it is forwarded to). A tap that returns `true`, or resolves
   * to it within 30,000 ms, has handled it. One that throws is logged, and the request is answered with 500: what guards an app
   * lets nothing through by its failure. Of a server that listened before a tap was there, it sees nothing.
   */
  request: RequestHook<[ServedRequest, ServedResponse, Server]>;
  /** An upgrade that the app listens for, in the same way; the arguments are those of Node's event. Without a listener it is a request. */
  upgrade: RequestHook<[ServedRequest, Duplex, Buffer, Server]>;
  /** The framework's Application or Agent was made; it is not ready yet. Its options are `boot.entry.options`, for a tap of `boot`. */
  frameworkMade: ChildHook<[FrameworkPart], void>;
  /**
   * It is ready. In a worker `serving` says how it is about to be served, and a tap may change that in place; null in the agent.
   * Awaited, and what a tap throws fails the start.
   */
  frameworkReady: ChildHook<[FrameworkPart, FrameworkServing | null], Promise<void>>;
  /** What ended the start of this child, once. */
  startFailed: ChildHook<[unknown], void>;
  /** The child was told to close (or closes by itself); awaited, in order, before `onClose` functions run. */
  beforeClose: ChildHook<[ClosingContext], Promise<void>>;
}

/** What a server is about to listen with, as Node's `server.listen` takes it. */
export interface ListenOptions {
  port?: number;
  host?: string;
  /** Unix socket or pipe. */
  path?: string;
  fd?: number;
  backlog?: number;
  /** The worker listens by itself, and the master does not see its connections. */
  exclusive?: boolean;
  reusePort?: boolean;
  /** A plugin's own server: no hook sees it, and the plugin itself closes it. */
  internal?: boolean;
  [key: string]: unknown;
}

/** What both classes of a framework have to offer. */
export interface FrameworkPart {
  ready(callback: (error?: unknown) => void): unknown;
  close?(): unknown;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  once(event: string, listener: (...args: unknown[]) => void): unknown;
  removeListener(event: string, listener: (...args: unknown[]) => void): unknown;
  emit(event: string, ...args: unknown[]): unknown;
  options?: Record<string, unknown>;
}

/** A framework's Application. It emits `server` with the server before that listens. */
export interface FrameworkApplication extends FrameworkPart {
  callback(): RequestListener;
}

/** How a framework's application is served. */
export interface FrameworkServing {
  port: number;
  host?: string;
  /** Unix socket or pipe, in place of a port. */
  path?: string;
  /** PEM files, and what else `https.createServer` takes. */
  https?: { key: string; cert: string; ca?: string; [option: string]: unknown };
}

/** What a drain knows: why, and how long it may take. */
export interface ClosingContext {
  /** Read it anew: a reload's drain may become a stop's. */
  reason: CloseReason;
  /** Milliseconds from the beginning until the master kills this child. */
  timeout: number;
  /** `performance.now()` at which the time is over; a stop sets it anew for one whose time was over but for its streams. */
  deadline: number;
  /** `performance.now()` at which it is over for streams (answers that have begun, uploads) in a worker that is replaced. */
  streamDeadline: number;
  /** `performance.now()` at which the master has asked for the room that these streams take; null: it has not. */
  movedAt: number | null;
}

/** The part of tapable's API that a part of a plugin needs: `tap` and `tapPromise`, in order of registration. */
export interface ChildHook<Args extends unknown[], Result> {
  tap(name: string, fn: (...args: Args) => unknown): void;
  tapPromise(name: string, fn: (...args: Args) => Promise<unknown>): void;
  /** For the runtime itself: runs the taps; awaits each where the hook is asynchronous. */
  call(...args: Args): Result;
}

export type ServedRequest = IncomingMessage | Http2ServerRequest;
export type ServedResponse = ServerResponse | Http2ServerResponse;

/** How a tap of requests stands among the others. */
export interface RequestTap {
  name: string;
  /** Lower ones run first; 0. graceful-exit is at -100, sticky-session at -50: what comes behind it runs in the worker that serves. */
  stage?: number;
  /** Milliseconds that it may take, 30,000; `Infinity` for one that answers as long as it lasts. */
  limit?: number;
  /** False: it wants what the app has as a request, and nothing of HTTP/2 streams that the app (gRPC's do) listens to itself. True. */
  streams?: boolean;
}

/**
 * Taps run by their stage, then in the plugins' order, and in that of registration, until one has handled what came. One that comes
 * later counts from then on.
 */
export interface RequestHook<Args extends unknown[]> {
  tap(tap: string | RequestTap, fn: (...args: Args) => true | void | Promise<true | void>): void;
  tapPromise(tap: string | RequestTap, fn: (...args: Args) => Promise<true | void>): void;
}

/** What a plugin's part gets in a child. */
export interface Runtime<R extends ChildRole = ChildRole> {
  readonly role: R;
  /** Stable index of a worker, 0..N-1; -1 in the agent, and while it stands by for any slot. */
  readonly slot: number;
  /** All that the master has told this process. */
  readonly boot: BootInfo;
  /** The resolved configuration as plain data. */
  readonly config: Record<string, unknown>;
  /** Tapped in the part; later is too late for those that have been called. */
  readonly hooks: RuntimeHooks;
  readonly messenger: Messenger;
  /** Lines bear this process's name: `worker#0`, `agent`. */
  readonly logger: Logger;
  /** Typed internal messages to and from the master (see InternalMessages). */
  readonly channel: Channel<R, 'master'>;
  /** The app is up; before that, a failure belongs to the start. */
  readonly ready: boolean;
  /** Aborted when closing starts. */
  readonly signal: AbortSignal;
  /** Servers that listen now. */
  readonly servers: ReadonlySet<Server>;
  /**
   * Servers of parts through which other workers reach the app's: a drain waits for what is under way in them. Who has made one
   * enters it here, and closes it.
   */
  readonly inner: Set<Server>;
  /** Called when the child closes, last registered first, awaited. `name` is shown while it hangs. */
  onClose(fn: () => unknown, name?: string): void;
  /**
   * Gives the app something on its context, under a name that nothing there has yet; its type comes by declaration merging
   * (`interface Context`). @throws ClusterError ERR_CLUSTER_PLUGIN where the name is taken
   */
  extendContext<Name extends keyof Context & string>(name: Name, value: Context[Name]): void;
  /** Has broadcasts with `scope: "all"` carried to other hosts. @throws ClusterError ERR_CLUSTER_PLUGIN where another plugin does */
  carryBroadcasts(carry: CarryBroadcasts): void;
  /** Asks the process of this pid, as `messenger.request` does: a third of what that costs the collector of garbage. */
  ask(pid: number, asking: Asking): void;
  /** Gives this process's listeners a message from elsewhere, another host, as if one of its own cluster had sent it. */
  deliver(envelope: Envelope): void;
  /** Readiness checks of the app (`context.health`). */
  readonly healthChecks: ReadonlyMap<string, HealthCheck>;
  /**
   * Closes this child by its own decision: the master forks a replacement at once. It drains for `timeout` ms at most and
   * exits with `code`, so the promise never resolves.
   */
  leave(reason: CloseReason, options: { code: number; timeout: number }): Promise<never>;
  /** Whether this child prints why it could not start; a plugin that shows it in a better way turns it off. */
  printsFailure: boolean;
  /**
   * Gives idle HTTP/1 connections, of each server `most` at most, back to the master, which hands them to another worker as if they
   * were new; those that are being answered follow with their answers. Resolves with how many were idle.
   */
  giveBackIdle(most?: number): Promise<number>;
  /** What a plugin in the master has noted of a connection (`prepare` of `routeConnections`), by the connection's handle. */
  noteOf(connection: object): unknown;
  /** What this child still waits for while it closes; parts add their own counts. */
  readonly waiting: { requests: number; streams: number; sockets: number; tasks: Set<string>; inFlight?: RequestInFlight[] };
}

/** A readiness check: not ready while it returns false, throws or rejects, or takes longer than health-check's `checkTimeout`. */
export type HealthCheck = () => unknown;

/** What one process of all hosts has under a name, for as long as it renews it; given by {@link Lead}. */
export interface Lease {
  readonly name: string;
  /**
   * Fencing token, higher than that of each lease of this name before it: what is written to keeps the highest that it has seen, and
   * refuses those below.
   */
  readonly token: number;
  /** Whether it is held, by the clock of this moment; to be asked before each step that nobody else may take meanwhile. */
  readonly valid: boolean;
  /** Aborted once it is lost (ERR_CLUSTER_LEASE_LOST), at the latest as the event loop runs again after a pause. */
  readonly signal: AbortSignal;
  /** Lets it go: the next one has it at once. Idempotent, never rejects. */
  release(): Promise<void>;
}

/**
 * Waits until this process is the one of all hosts that leads under a name; by the plugin `hosts`. Rejects with the signal's reason,
 * or ERR_CLUSTER_CLOSING where this process has closed. @throws ClusterError ERR_CLUSTER_USAGE
 */
export type Lead = (name: string, options?: { signal?: AbortSignal }) => Promise<Lease>;

/** What an app, an agent module or a framework gets of the cluster it runs in. */
export interface Context {
  readonly role: ChildRole;
  /**
   * Stable index of a worker, 0..N-1, also `process.env.CLUSTER_SLOT`; -1 in the agent, and in a worker that stands by, until a slot
   * adopts it.
   */
  readonly slot: number;
  /** The resolved configuration as plain data. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Lines in the form of the master's, with this process's name: `worker#0`, `agent`. */
  readonly logger: Logger;
  /** Messages to and from the other processes of the cluster. */
  readonly messenger: Messenger;
  /** One real client for all processes, called in the one that leads: see {@link ShareClient}. */
  readonly shareClient: ShareClient;
  /** One process of all hosts leads under a name: see {@link Lead}. */
  readonly lead: Lead;
  /** Aborted when draining starts. */
  readonly signal: AbortSignal;
  /** Run when the process closes, last registered first, each awaited. `name` is shown while it hangs. */
  onClose(fn: () => unknown, name?: string): void;
  /** Says that a worker is ready, whether it listens or not; what it exports need not have resolved. Nothing in the agent. */
  ready(): void;
  /**
   * Names something that the start waits for, until the function that it gives is called; with an error the start fails. A start
   * that hangs names it, and how long it has waited; `status` shows it meanwhile. @throws ClusterError ERR_CLUSTER_USAGE once the
   * start is over
   */
  step(name: string, options?: StepOptions): StepDone;
  /** Adds a check that `/readyz` asks. A name used before is replaced. */
  health(name: string, fn: HealthCheck): void;
}
