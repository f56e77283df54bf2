import type { ReloadResult, Status } from './status.js';

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
