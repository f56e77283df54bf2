import type { ChildProcess } from 'node:child_process';
import cluster from 'node:cluster';
import { EventEmitter } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import type { LoadedConfig } from '../lib/config/load.js';
import { CHANNEL_FD } from '../lib/ipc/channel.js';
import { ClusterError } from '../lib/kit/errors.js';
import { requireBuilt } from '../lib/kit/package.js';
import { grantAccess, socketAccess } from '../lib/kit/sockets.js';
import { hasControllingTerminal, outliveTerminal, startedAtTerminal } from '../lib/kit/terminal.js';
import type { Bootstrap, BootstrapOptions } from '../lib/master/bootstrap.js';
import type { ForkPlace, Forked, StartProcess } from '../lib/master/processes/forked.js';
import type { Wire } from '../lib/node/wire.js';
import { OwnSignals } from '../plugins/graceful-exit/own-signals.js';
import { usageError } from './command.js';

/** What lib/child/run.ts exports, in a bundle of its own. */
interface Child {
  here(wire: Wire, host: {
    leave(reason: string, code: number): void;
    exit(code: number): void;
    release(): Promise<void>;
    print: ForkPlace['print'];
  }): void;
}

/** Milliseconds for what the app's signal handlers begin, at most: by then it is drained, and its `onClose` functions have run. */
const HANDLERS = 10_000;

/**
 * The app in the master's own process, for a pod of one: what is forked elsewhere is loaded here, and the two talk as ever, by a
 * wire that has no kernel between its ends. It ends with the app, by whatever ends that.
 */
export class Alone {
  readonly #signals = new OwnSignals();
  #bootstrap: Bootstrap | null = null;

  /** Must be made before anybody listens to a signal. */
  constructor() {
    outliveTerminal();
    const ending: NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];
    if (process.platform !== 'win32') ending.push('SIGQUIT', ...(startedAtTerminal ? ['SIGHUP'] as const : []));
    this.#signals.listen(ending, (name) => this.#end(name, 0), () => void this.#bootstrap?.close('hurry', { force: true }));
    if (process.platform === 'win32') return;
    // Before the master listens, and after: SIGUSR1 would open a debugger, the others end the process, or stop it.
    const ignored: NodeJS.Signals[] = ['SIGUSR1', 'SIGUSR2', ...(startedAtTerminal ? [] : ['SIGHUP'] as const)];
    if (!hasControllingTerminal()) ignored.push('SIGTTIN', 'SIGTTOU');
    for (const signal of ignored) process.on(signal, () => {});
  }

  get options(): Pick<BootstrapOptions, 'alone' | 'ownsProcess'> {
    return { alone: this.#start, ownsProcess: false };
  }

  serves(bootstrap: Bootstrap): void {
    this.#bootstrap = bootstrap;
    // Elsewhere the master opens it, and has done so by then.
    bootstrap.hooks.workerReady.tap('hatchery', () => {
      const { config } = bootstrap;
      if (config.path !== undefined) grantAccess(config.path, socketAccess(config));
    });
    bootstrap.hooks.beforeRefork.tap('hatchery', () => 'leave');
    bootstrap.hooks.workerExit.tap('hatchery', (_, { code }) => {
      if (!bootstrap.closing && bootstrap.started) this.#end('the app has ended', code ?? 1);
    });
  }

  /** What a process that runs already cannot be given. */
  check({ config, target: { entry } }: LoadedConfig): void {
    const refuse = (what: string, instead: string): never => { throw usageError(`--workers 0: ${what} ${instead}`); };
    const toNode = 'is for a process that is yet to be started: give Node\'s own flags in NODE_OPTIONS';
    if (config.inspect !== false) refuse('--inspect', toNode);
    if (config.inspectBrk !== false) refuse('--inspect-brk', toNode);
    if (config.execArgv.length > 0) refuse('`execArgv`', toNode);
    if (entry.agent !== undefined) refuse('an agent', 'would be another process: --no-agent leaves it away');
    if (entry.framework !== undefined) refuse('a framework', 'has an agent, which would be another process');
    if (config.plugins['sticky-session']) refuse('sticky-session', 'has nothing to choose from: leave it away');
  }

  #end(reason: string, code: number): void {
    // Nothing runs yet.
    if (!this.#bootstrap) process.exit(code);
    void this.#bootstrap.close(reason, { code });
  }

  readonly #start: StartProcess = ({ env }, { cwd, environment, print }) => {
    for (const [name, value] of Object.entries({ ...environment, ...env })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = String(value);
    }
    process.chdir(cwd);
    refuseForks();
    const [ours, theirs] = InnerWire.pair();
    const app = new InnerProcess(ours);
    (requireBuilt('lib/child/alone.cjs') as Child).here(theirs, {
      leave: (reason, code) => this.#end(reason, code),
      exit: (code) => app.exits(code),
      release: () => this.#signals.release(performance.now() + HANDLERS),
      print,
    });
    // Nobody is killed: the process ends a moment later.
    return { process: app as unknown as ChildProcess, worker: null, kill: () => app.exits(1) } satisfies Forked;
  };
}

/** An app that is a primary of its own would start this command again, and listen nowhere itself. */
function refuseForks(): void {
  cluster.fork = () => {
    throw new ClusterError('ERR_CLUSTER_ALONE', 'cluster.fork() of the app: with --workers 0 it runs in this one process; '
      + 'start it with --workers N, where it is a worker from the beginning, or let it listen itself');
  };
  syncBuiltinESMExports();
}

/** What a child process is to the master. Its end is the app's. */
class InnerProcess extends EventEmitter {
  readonly pid = process.pid;
  readonly connected = false;
  exitCode: number | null = null;
  readonly signalCode = null;
  readonly stdio: unknown[] = [];
  readonly #wire: InnerWire;

  constructor(wire: InnerWire) {
    super();
    this.#wire = wire;
    this.stdio[CHANNEL_FD] = wire;
  }

  send(): boolean {
    return false;
  }

  exits(code: number): void {
    if (this.exitCode !== null) return;
    this.exitCode = code;
    // What it has said before is heard first.
    setImmediate(() => {
      this.emit('exit', code, null);
      this.#wire.destroy();
      this.emit('disconnect');
    });
  }
}

/** One end of a wire within a process: what is written is there in the next turn. */
class InnerWire extends EventEmitter implements Wire {
  writable = true;
  readonly writableLength = 0;
  #peer!: InnerWire;

  static pair(): [InnerWire, InnerWire] {
    const ends: [InnerWire, InnerWire] = [new InnerWire(), new InnerWire()];
    [ends[0].#peer, ends[1].#peer] = [ends[1], ends[0]];
    return ends;
  }

  write(data: Buffer): void {
    const bytes = Buffer.from(data);
    process.nextTick(() => { if (this.#peer.writable) this.#peer.emit('data', bytes); });
  }

  last(data: Buffer): void {
    this.write(data);
  }

  ref(): void {}
  unref(): void {}

  destroy(): void {
    for (const end of [this, this.#peer]) {
      if (!end.writable) continue;
      end.writable = false;
      end.emit('close');
    }
  }
}
