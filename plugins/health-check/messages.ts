/** What a child tells of itself, once an interval. */
export interface Sample {
  /** The child's own clock (performance.now()), ms. */
  at: number;
  /** Bytes; null where the system does not tell. */
  rss: number | null;
  heapUsed: number;
  heapLimit: number;
  /** CPU time since the process began, ms. */
  cpu: number;
  /** Since the sample before, 0..1. */
  eventLoopUtilization: number;
  /** The longest that a timer had to wait since the sample before, ms. */
  eventLoopDelay: number;
  /** Since the process began. */
  requests: number;
  /** Open connections of all servers. */
  connections: number;
  /** Its inspector is open: somebody debugs it, or may. */
  inspected: boolean;
  /** Names of the app's readiness checks. */
  checks: string[];
}

/** A readiness check that does not pass. */
export interface FailedCheck {
  name: string;
  reason: string;
}

/** A request that is being answered. */
export interface ActiveRequest {
  method: string;
  path: string;
  /** Milliseconds; null where its start is not known. */
  age: number | null;
}

/** A call that nothing of the child answers while it lasts. */
export interface BlockingCall {
  name: string;
  /** Lines of the stack below it, as V8 writes them. */
  stack: string[];
  requests: ActiveRequest[];
}

declare module '../../lib/index.js' {
  interface InternalMessages {
    /** Send samples from now on, one every `interval` ms. */
    'health.begin': { from: 'master'; to: 'worker' | 'agent'; data: { interval: number } };
    'health.sample': { from: 'worker' | 'agent'; to: 'master'; data: Sample };
    /** process.abort() was called: the SIGABRT that follows is no lack of memory. */
    'health.abort': { from: 'worker' | 'agent'; to: 'master'; data: null };
    /** The child is about to wait for a process of its own; null: it is back. */
    'health.blocking': { from: 'worker' | 'agent'; to: 'master'; data: BlockingCall | null };
    /** Run the app's readiness checks, each for at most `timeout` ms; answered with those that fail. */
    'health.check': { from: 'master'; to: 'worker'; data: { timeout: number }; reply: FailedCheck[] };
  }
}
