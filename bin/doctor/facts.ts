import type { Status } from '../../lib/api/control.js';
import type { Config } from '../../lib/config/schema.js';
import type { MemoryLimit } from '../../lib/kit/cgroup.js';

/** Of the machine, or the container. Null: it does not tell. */
export interface MachineFacts {
  /** Limits of one process. */
  openFiles: number | null;
  processes: number | null;
  addressSpace: number | null;
  fileSize: number | null;
  /** How many connections may wait in a listening socket. */
  somaxconn: number | null;
  /** Whether the kernel hands connections of a closing SO_REUSEPORT socket on. */
  migrates: boolean | null;
  /** Files that a user may watch. */
  watches: number | null;
  clocksource: string | null;
  /** Whether somebody sets the clock. */
  synchronized: boolean | null;
  /** Milliseconds by which files of the app are newer than now. */
  behind: number;
  /** What tells that this is a container. */
  container: string | null;
  /** Command line of process 1 of a container. */
  first: string | null;
  processors: number;
  /** Of a quota. */
  quota: number | null;
  memory: MemoryLimit | null;
  pids: { max: number; current: number } | null;
}

/** Who stops the service, and how long it waits. */
export interface OrchestratorFacts {
  name: string;
  /** Seconds until SIGKILL; null: it waits for ever, or does not tell. */
  grace: number | null;
  /** What tells so. */
  from: string;
  /** Balancers learn of an end by readiness alone, and later. */
  polls: boolean;
}

/** An address that a start wants. */
export interface PortFacts {
  /** Where it is written. */
  where: string;
  at: string;
  /** The running instance has it. */
  own: boolean;
  /** Of the error, where it cannot be had. */
  code: string | null;
  /** Who has it. */
  holder: string | null;
}

export interface PlaceFacts {
  /** Directories in which an instance would be found that are not to be trusted. */
  unsafe: string[];
  /** None can be written: why. */
  none: string | null;
  /** Records of masters that are gone, and files that are none. */
  stale: string[];
  unreadable: string[];
  /** The log directory cannot be written: why. */
  logs: string | null;
  /** Bytes that are free where the logs are. */
  free: number | null;
  /** Configuration files that everybody may write. */
  open: string[];
  /** A module of the app that this user cannot read. */
  hidden: string[];
}

export interface CertificateFacts {
  file: string;
  /** Milliseconds since the epoch. */
  until: number;
  /** The key is that of the certificate. */
  fits: boolean;
}

export interface AppFacts {
  name: string;
  version: string | null;
  dir: string;
  /** `engines.node`, and whether this Node is one of them. */
  engines: { range: string; fits: boolean } | null;
  /** Version of hatchery in the app's own node_modules. */
  installed: string | null;
  plugins: { name: string; version: string | null; ours: boolean }[];
}

export interface RunningFacts {
  status: Status;
  pid: number;
  openFiles: number | null;
  /** Seconds that it keeps an idle connection, as an answer says; 0: for ever. Null: none was had, or it does not say. */
  keepAlive: number | null;
  /** The environment says that it is no production. */
  nodeEnv: string | null;
}

/** All that is looked at. */
export interface Facts {
  own: { version: string; node: string; fits: boolean; path: string; platform: string; uid: number | null };
  machine: MachineFacts;
  orchestrator: OrchestratorFacts | null;
  /** Null where it cannot be read: `mistakes` says why. */
  config: Config | null;
  mistakes: string[];
  unused: string[];
  hasAgent: boolean;
  app: AppFacts | null;
  ports: PortFacts[];
  places: PlaceFacts;
  certificate: CertificateFacts | null;
  /** Null: nothing runs. A text: it does not answer, and why. */
  running: RunningFacts | string | null;
  now: number;
}
