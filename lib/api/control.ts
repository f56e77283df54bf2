import type { Address, Waiting } from '../ipc/messages.js';
import type { ChildState, LastExit } from './child.js';

/** One step of something that takes time, for a person who waits. */
export interface Progress {
  /** What is under way. */
  task: 'start' | 'reload' | 'scale' | 'close' | 'route';
  /** One line, without a newline. */
  text: string;
  slot?: number;
  pid?: number;
}

/** An answer of a route of the control server, or of the health port. */
export interface RouteAnswer {
  /** HTTP status; 200 by default. */
  status?: number;
  headers?: Record<string, string>;
  /** Objects are sent as JSON. */
  body: string | object;
}

/** A request to a route. */
export interface RouteRequest {
  readonly method: Route['method'];
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Its body, parsed where it is JSON, else its text; undefined where there is none. On the health port there never is. */
  readonly body: unknown;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /**
   * Tells a person who waits of a step. From the first one on the answer is lines of JSON, as those of `/reload` are: `{ progress }`
   * for each step, and at the end `{ result }`, the body, or `{ error }`; on the health port there is only the end.
   */
  progress(text: string): void;
}

/** A path that the control server answers; see `Master.route`. */
export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  /** Also answered on the health port; the others only on the private control socket. */
  open: boolean;
  /** What its JSON has, in one line: `framework hooks` shows it. */
  tells?: string;
  handler(query: URLSearchParams, request: RouteRequest): RouteAnswer | Promise<RouteAnswer>;
}

/** What the control server needs of a Bootstrap. */
export interface Controllable {
  /** Paths that the control socket answers, and the health port those that are `open`. */
  readonly routes: readonly Route[];
  /** What `framework status` shows. */
  status(): Promise<Status>;
  /**
   * Replaces all workers without a lost request, then the agent (`agent: false`: not the agent). Something else is under way:
   * `queue` waits for its turn; `env` takes the place of the environment that the master was started with. Rejects with a
   * ClusterError: ERR_CLUSTER_BUSY, _CLOSING, _CONFIG, _PLUGIN, _RELOAD_VETOED, _RELOAD_ABORTED (its `detail` is the worker's
   * error).
   */
  reload(reason: string, options?: { agent?: boolean; queue?: boolean; env?: Readonly<Record<string, string>> }): Promise<ReloadResult>;
  /**
   * `3`, `"+1"` or `"-1"`; never below 1. Resolves when the new workers are ready and the removed ones gone; rejects with a
   * ClusterError: ERR_CLUSTER_BUSY, _CLOSING, _USAGE, _START, _START_TIMEOUT.
   */
  scale(change: number | string): Promise<{ from: number; to: number }>;
  /** Begins to close (idempotent; a second call hurries) and resolves with the exit code when all children are gone. */
  close(reason: string, options?: { force?: boolean; code?: number }): Promise<number>;
  /** Listens to progress; returns a function that ends it. */
  onProgress(listener: (progress: Progress) => void): () => void;
}

/**
 * What a restart has to know of the master that it replaces. Variables hold secrets: on the control socket alone, which is for
 * its own user.
 */
export interface Launch {
  /** The environment that it was given, files of variables apart. */
  env: Readonly<Record<string, string>>;
  /** Path and version of its Node. */
  node: { path: string; version: string };
  /** Of the process that has started it. */
  ppid: number;
  /** Where its workers were told to listen. */
  listen: { port: number; path?: string };
  /** The `port` options of its plugins, and the ports of inspectors. */
  ports: number[];
  /** Where its first worker really listens; null until then. */
  address: Address | null;
  /** How long it may take to close, ms; one of an older version does not tell. */
  closesWithin?: number;
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
  /** As its caller gave it: `command`, `SIGHUP`, ... */
  reason: string;
  /** Of the new processes, also where they did not stay. */
  generation: number;
  /** How many workers were replaced. */
  replaced: number;
  /** Requests that were cut meanwhile: their workers had reached their deadline, or were killed while they drained. */
  cut: number;
  /** Milliseconds. */
  took: number;
  /** When it ended, ISO 8601. */
  at: string;
  /** Why it was aborted. */
  error?: string;
}

/**
 * One process in `status --json`, or a slot that waits for one: then what belongs to a process is null. What health-check
 * measures is null until the child's first sample.
 */
export interface ChildStatus {
  /** Number of the process, counted from 1 for each role. */
  id: number | null;
  /** Stable index of a worker; -1 for the agent. */
  slot: number;
  pid: number | null;
  /** `waiting`: the slot is empty. */
  state: ChildState | 'waiting';
  /** Of its configuration and code. */
  generation: number | null;
  /** When it was forked, ISO 8601. */
  startedAt: string | null;
  /** Of a slot that waits: milliseconds until a process is forked for it; null where that waits for somebody, a save in `dev`. */
  forkIn?: number | null;
  /** Of a slot that waits: how many processes in a row have ended, or could not be forked. */
  endsInRow?: number;
  /** Processes of its slot that have taken the place of another. */
  restarts: number;
  /** Resident memory, bytes. */
  rss: number | null;
  /** Share of one core since the sample before, 0..1 (and above). */
  cpu: number | null;
  /** Longest wait of a timer since the sample before, milliseconds. */
  eventLoopDelay: number | null;
  /** Share of the time that the event loop was busy since the sample before, 0..1. */
  eventLoopUtilization: number | null;
  /** How the process before it in its slot has ended. */
  lastExit: LastExit | null;
  /** While booting: what its start waits for beside the app, and for how long it has, milliseconds. */
  steps?: { name: string; age: number }[];
  /** While draining: what it still waits for. */
  waiting?: Waiting;
  /** Messages to it that were not kept, as it does not read; absent where there are none. */
  dropped?: number;
  /** What plugins add in `collectStatus`. */
  [extra: string]: unknown;
}

/** A worker that was replaced, and lives on for its streams alone. */
export interface DuckStatus {
  pid: number;
  /** That it was in. */
  slot: number;
  /** Of its configuration and code. */
  generation: number;
  /** Answers that have begun, and uploads, which it still has. */
  streams: number;
  /** Age of the oldest of them, milliseconds. */
  oldest: number;
  /** When it is ended, ISO 8601. */
  until: string;
}

/** A worker that stands by: it is in no slot, and listens nowhere until one adopts it. */
export interface StandbyStatus {
  /** Number of the process, counted from 1 for each role. */
  id: number;
  pid: number;
  /** The only one that may adopt it (`standby.perSlot`); null: any. */
  slot: number | null;
  /** `loaded`: it waits. */
  state: 'loading' | 'loaded' | 'draining' | 'killing';
  /** Of its configuration and code. */
  generation: number;
  /** When it was forked, ISO 8601. */
  startedAt: string;
  /** Resident memory, bytes, beside that of the workers; null until its first sample. */
  rss: number | null;
}

/** How the number of workers follows the load, where `workers` is a range. */
export interface AdaptiveStatus {
  /** The fewest: as configured, or what `scale` has said since (`scaled`). */
  min: number;
  max: number;
  /** Milliseconds of little load before one is taken away. */
  quiet: number;
  scaled: boolean;
  /** Null: the number has not changed yet. `cause`: `asked` is `scale` or a signal; `why` in words; `at` ISO 8601. */
  lastMove: { from: number; to: number; cause: 'connection' | 'utilization' | 'silence' | 'quiet' | 'range' | 'asked'; why: string;
    at: string } | null;
  /** Why there are not more, although the load asks for more; null: it does not. */
  held: string | null;
  /** Changes since the start. */
  moves: { direction: 'up' | 'down'; cause: string; count: number }[];
  /** How often the load began to ask for more and got nothing: `most` is the range's end. */
  holds: { by: 'most' | 'memory' | 'failed'; count: number }[];
}

/** What plugin overload has done since the start. */
export interface OverloadStatus {
  /** Workers that are over their limits now. */
  over: number;
  /** Requests that workers have shed, by slot and priority. */
  slots: { slot: number; shed: { low: number; normal: number; high: number } }[];
  /** Connections that were handed to the least busy worker. */
  picks: number;
  /**
   * Connections that came while all were over: answered by the master; read and passed on; passed on as nothing came in time; passed on
   * unread, as too many were being read; gone by themselves.
   */
  acceptor: { shed: number; passed: number; silent: number; full: number; gone: number };
}

/** How connections reach workers. */
export interface Balance {
  configured: 'round-robin' | 'os' | 'reuse-port' | 'auto';
  /** What that means here. */
  used: 'round-robin' | 'os' | 'reuse-port';
  /** In words. */
  why: string;
}

/** What `framework status --json` prints and `GET /status` answers. */
export interface Status {
  title: string;
  /** `degraded`: running, with fewer ready workers than wanted. */
  state: 'starting' | 'running' | 'reloading' | 'degraded' | 'closing';
  /** `http://127.0.0.1:7001`: the configured address where the app serves it, else another one that it serves; null until then. */
  address: string | null;
  /** All that the workers serve, `address` first. */
  addresses: string[];
  /** How connections reach the workers: what is used, which `auto` has chosen perhaps, and why it is that, in words. */
  balance: Balance['used'];
  balanceWhy: string;
  /** Of hatchery. */
  version: string;
  /** Version of the master's Node. */
  node: string;
  /** When the master started, ISO 8601. */
  startedAt: string;
  /** `rss` in bytes; null where the system does not tell. */
  master: { pid: number; rss: number | null };
  /** Null where none is wanted, or none is there yet. */
  agent: ChildStatus | null;
  /** Every slot: each of its processes, two while it is replaced, or that it waits for one. */
  workers: ChildStatus[];
  /** The app of `--workers 0`, whose process is the master's; absent elsewhere. */
  app?: ChildStatus | null;
  /** Workers that were replaced and only finish their streams; they are in no slot. */
  ducks: DuckStatus[];
  /** Workers that have loaded the app, or do, and wait until a slot adopts them; they are in none. */
  standby: StandbyStatus[];
  /** Deaths within `refork.duration`, how many are the limit, and slot -> ms of those that wait to be forked again. */
  refork: { inWindow: number; limit: number; delays: Record<string, number> };
  lastReload: ReloadResult | null;
  /** Requests that were cut since the start, at the deadline of a worker that drained, or as that was killed. */
  cut: number;
  /** What was thrown in the master where nobody waits for it, plugins included: logged, and nothing more came of it. */
  faults: number;
  /** Fast ways that this Node does not have, so that slower ones are taken; a line each. Empty as a rule. */
  slowPaths: string[];
  /**
   * What the control group leaves (plugin container, Linux): `cpus` of its quota, bytes of memory, and those of each child's heap where
   * `memory: "limit"` sets it; null: no limit.
   */
  container?: { cpus: number | null; memory: { limit: number; workingSet: number } | null; heap: number | null };
  /** Plugin adaptive-workers; absent where the number of workers is said. */
  adaptive?: AdaptiveStatus;
  /** Plugin overload; absent where it is off. */
  overload?: OverloadStatus;
  /** What plugins add in `collectStatus`. */
  [extra: string]: unknown;
}
