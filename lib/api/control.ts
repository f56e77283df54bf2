import type { Waiting } from '../ipc/messages.js';
import type { ChildState, LastExit } from './child.js';

/** One step of something that takes time, for a person who waits. */
export interface Progress {
  /** What is under way. */
  task: 'start' | 'reload' | 'scale' | 'close';
  /** One line, without a newline. */
  text: string;
  slot?: number;
  pid?: number;
}

/** An answer of a route of the control server, or of the health port. */
export interface RouteAnswer {
  status?: number;
  headers?: Record<string, string>;
  /** Objects are sent as JSON. */
  body: string | object;
}

export interface Route {
  method: 'GET' | 'POST';
  path: string;
  /** Also answered on the health port; the others only on the private control socket. */
  open: boolean;
  handler(query: URLSearchParams): RouteAnswer | Promise<RouteAnswer>;
}

/** What the control server needs of a Bootstrap. */
export interface Controllable {
  readonly routes: readonly Route[];
  status(): Promise<Status>;
  /** Rejects with a ClusterError: ERR_CLUSTER_BUSY, _CLOSING, _RELOAD_VETOED, _RELOAD_ABORTED (its `detail` is the worker's error). */
  reload(reason: string, options?: { agent?: boolean; queue?: boolean }): Promise<ReloadResult>;
  /** `3`, `"+1"` or `"-1"`. Resolves when the new workers are ready and the removed ones gone. */
  scale(change: number | string): Promise<{ from: number; to: number }>;
  /** Begins to close (idempotent; a second call hurries) and resolves with the exit code when all children are gone. */
  close(reason: string, options?: { force?: boolean; code?: number }): Promise<number>;
  /** Listens to progress; returns a function that ends it. */
  onProgress(listener: (progress: Progress) => void): () => void;
}

/** What an instance has in the file system, to be removed if its process cannot do it. `mark`: what the record has to contain. */
export interface InstanceFiles {
  record: string;
  socket: string;
  mark: string;
}

/** How a rolling reload, or a restart in development, has ended. */
export interface ReloadResult {
  ok: boolean;
  reason: string;
  generation: number;
  replaced: number;
  /** Milliseconds. */
  took: number;
  /** ISO 8601. */
  at: string;
  error?: string;
}

/** One process in `status --json`. Numbers are null until the child's first health sample. */
export interface ChildStatus {
  id: number;
  slot: number;
  pid: number;
  state: ChildState;
  generation: number;
  startedAt: string;
  restarts: number;
  /** Bytes. */
  rss: number | null;
  /** Share of one core, 0..1 (and above). */
  cpu: number | null;
  /** Milliseconds. */
  eventLoopDelay: number | null;
  /** 0..1. */
  eventLoopUtilization: number | null;
  lastExit: LastExit | null;
  /** While draining: what it still waits for. */
  waiting?: Waiting;
  [extra: string]: unknown;
}

/** What `framework status --json` prints and `GET /status` answers. */
export interface Status {
  title: string;
  state: 'starting' | 'running' | 'reloading' | 'degraded' | 'closing';
  address: string | null;
  version: string;
  node: string;
  startedAt: string;
  master: { pid: number; rss: number };
  agent: ChildStatus | null;
  workers: ChildStatus[];
  refork: { inWindow: number; limit: number; delays: Record<string, number> };
  lastReload: ReloadResult | null;
  /** Fast ways that this Node does not have, so that slower ones are taken; a line each. Empty as a rule. */
  slowPaths: string[];
  [extra: string]: unknown;
}
