import type { ChildProcess } from 'node:child_process';
import type { Worker } from 'node:cluster';
import type { Variables } from '../../config/environment.js';

/** Where a process is started, and where its output goes. */
export interface ForkPlace {
  cwd: string;
  /** The package's folder that it runs from. */
  root: string;
  /** Standard output and error of the child: the master's own, or a log file's descriptors. */
  stdio: { out: number; err: number };
  /** What it has otherwise than the master's environment. */
  environment?: Variables;
}

/** A process that has just been started. */
export interface Forked {
  process: ChildProcess;
  worker: Worker | null;
  /** SIGKILL, with what it has started, as far as that is not to be left alone. Resolves when the signals are sent. */
  kill(): void | Promise<void>;
}
