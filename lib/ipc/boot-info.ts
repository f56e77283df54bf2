import type { ChildRole } from './messages.js';

/** A plugin's part for a child: its default export is called with `(runtime, options)` before the app is loaded. */
export interface PartSpec {
  plugin: string;
  /** Module URL (`file:`). `.cjs` files are required, which spares a worker the ES module loader. */
  url: string;
  options: unknown;
}

/** What there is to run in a child; absolute file paths. */
export type Entry =
  | { kind: 'app'; file: string }
  | { kind: 'framework'; file: string; options: Record<string, unknown> }
  | { kind: 'agent'; file: string }
  /** An agent that exists for its plugin parts or for others to talk to. */
  | { kind: 'none' };

/** The one variable that a child is told something in: the entry that a spare process will have to load. */
export const WARM = 'HATCHERY_WARM';

/** Everything a child is told; sent over its own pipe, never through argv or the environment. */
export interface BootInfo {
  role: ChildRole;
  id: number;
  /** Stable place of a worker, 0..N-1; -1 for the agent. */
  slot: number;
  generation: number;
  processTitle: string;
  /** Milliseconds this child may take to close, when it closes by itself. */
  timeout: number;
  baseDir: string;
  entry: Entry;
  parts: PartSpec[];
  listen: {
    port: number;
    host?: string;
    path?: string;
    https?: { key: string; cert: string; ca?: string };
    reusePort: boolean;
    /** Sockets inherited from a service manager: requested port -> descriptor in the master. */
    inherited?: Record<string, number>;
  };
  log: { level: string; format: 'text' | 'json' };
  /** The resolved configuration as plain data. */
  config: Record<string, unknown>;
  /** An agent is configured, so messages to it have somewhere to go. */
  hasAgent: boolean;
}
