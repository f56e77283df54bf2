import type { Waiting } from '../ipc/messages.js';
import type { ChildState, LastExit } from './child.js';

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
