import type { Context } from '../api/runtime.js';
import { Channel } from '../ipc/channel.js';
import { MARK, type BootInfo, type ChildRole, type CloseReason, type DataOf, type Warmth } from '../ipc/messages.js';
import { hearReady } from '../ipc/ready.js';
import { ClusterError, wire } from '../kit/errors.js';
import { outliveTerminal } from '../kit/terminal.js';
import { atMost } from '../kit/time.js';
import { passOn } from '../node/spawns.js';
import type { Wire } from '../node/wire.js';
import { MASTER_GONE, Signals, closeDown, endBy, hurry, masterGone } from './closing.js';
import { acceptHeldSockets, takeConnections, takeSlotSockets } from './connections.js';
import { serveFramework } from './framework.js';
import { keepLastWords } from './failure.js';
import { importAhead, loadAgent, loadApp, preload, warmUp } from './load.js';
import { pastMaster, printBy, throughMaster, watchOutput } from './output.js';
import { loadAhead, runParts } from './parts.js';
import { refuseProbes } from './port-probes.js';
import { Readiness, type Reached } from './readiness.js';
import { ChildRuntime, createContext, openChannel } from './runtime.js';
import { answerAhead, resolved, serve, untilServing } from './serve.js';
import { listenStateOf, trackServers, type ListenState } from './server-tracker.js';
import { takeWords } from './words.js';

/** What a worker's process does; each role is a bundle of its own (build.mjs), so that an agent loads nothing that serves. */
export function worker(): void {
  const warmth = warmUp();
  if (warmth?.parts) setImmediate(() => void rehearse(warmth as Required<Warmth>));
  takeConnections();
  run((boot, runtime) => {
    acceptHeldSockets(runtime);
    takeSlotSockets(runtime);
    return serving(boot, runtime);
  });
}

/** A process that has time does what its start as a worker takes, as far as that is nobody's but ours (npm run bench -- dev). */
async function rehearse({ entry, parts }: Required<Warmth>): Promise<void> {
  try {
    loadAhead(parts);
    answerAhead();
    await importAhead(entry);
  } catch {
    // What fails fails again, and is told, when it is its turn.
  }
}

/** The app in the master's own process, which is the only one. */
export function here(wire: Wire, host: Host): void {
  runHere((boot, runtime) => serving(boot, runtime, () => preload(boot)), wire, host);
}

/** What the agent's process does. */
export function agent(): void {
  run((boot, runtime) => loadAgent(boot, createContext(runtime), runtime));
}

/** `first`: comes before the app. Resolves when that serves. */
async function serving(boot: BootInfo, runtime: ChildRuntime, first?: () => Promise<void>): Promise<DataOf<'child.ready'>> {
  trackServers(runtime);
  const state = listenStateOf(runtime);
  const readiness = new Readiness(boot.listen, state, boot.standby);
  const loading = boot.standby ? standBy(runtime, state, readiness) : null;
  const said = () => {
    readiness.said();
    loading?.said();
  };
  // What becomes ready in this moment says it with that.
  state.onChange(() => {
    if (runtime.closing === null && readiness.done === runtime.ready) runtime.channel.send('child.listening', state.served());
  });
  // Where the app handles the error, and comes no further, this is why.
  state.onRefused = (why) => {
    if (runtime.ready || runtime.refused === why) return;
    runtime.refused = why;
    runtime.channel.send('child.failed', { phase: 'boot', error: { name: 'Error', message: why } });
  };
  hearReady(said);
  // In the one process of `--workers 0` there are no siblings.
  const admitProbes = first ? () => {} : refuseProbes(runtime, state);
  // One that stands by has loaded the app by then, and may wait for days.
  void loading?.reached.then(admitProbes);
  await first?.();
  const started = startApp(boot, runtime, createContext(runtime, said), readiness, () => loading?.loaded());
  const reached = await firstOf(readiness, started).finally(admitProbes);
  return { addresses: state.served(), ...reached };
}

/** Milliseconds that a module which waits for its own listen has for others, before it counts as loaded. */
const WAITS_FOR_LISTEN = 300;

/**
 * It loads the app, and what listens is held back until a slot adopts it. It has loaded when it would be ready if all that served:
 * the master hears of it, and what others send is taken in from then on.
 */
function standBy(runtime: ChildRuntime, state: ListenState, readiness: Readiness): Readiness {
  const { boot, channel } = runtime;
  state.standBy();
  // A master that is itself a worker of another cluster has one.
  if (boot.slot < 0) delete process.env.CLUSTER_SLOT;
  const loading = new Readiness(boot.listen, state.asIfServed());
  let waiting: NodeJS.Timeout | undefined;
  state.onChange(() => { if (state.begun) waiting ??= setTimeout(() => loading.loaded(), WAITS_FOR_LISTEN); });
  void loading.reached.then(async () => {
    await runtime.steps.idle();
    if (runtime.closing) return;
    channel.hold(true);
    runtime.messenger.started();
    channel.send('child.standby', null);
  });
  channel.on('child.adopt', (adoption) => {
    runtime.adopt(adoption);
    channel.send('child.adopted', null);
    // Who has said that it is ready is not before that serves.
    void state.release().then(() => readiness.begin(boot.listen));
  });
  return loading;
}

async function startApp(
  boot: BootInfo, runtime: ChildRuntime, context: Context, readiness: Readiness, loaded: () => void,
): Promise<void> {
  const exported = await loadApp(boot);
  loaded();
  if (boot.entry.kind === 'framework') {
    await serveFramework(exported, boot, boot.entry, runtime);
    readiness.said();
  } else if (!boot.listen.hasServer) {
    await resolved(exported, context);
    readiness.said();
  } else {
    await serve(exported, boot, context, runtime);
    readiness.loaded();
    await untilServing(exported, boot, runtime, readiness);
  }
}

/** Ready, or failed before that. An error that comes later is what an unhandled rejection is in any process. */
function firstOf(readiness: Readiness, started: Promise<void>): Promise<Reached> {
  return new Promise((resolve, reject) => {
    void readiness.reached.then(resolve);
    started.catch((error: unknown) => {
      if (!readiness.done) reject(error as Error);
      else if (!(error instanceof ClusterError && error.code === 'ERR_CLUSTER_NOT_SERVABLE')) void Promise.reject(error as Error);
    });
  });
}

/** What a role does between its parts and `ready`: load and start what there is to run. A worker has served something by then. */
type Load = (boot: BootInfo, runtime: ChildRuntime) => Promise<DataOf<'child.ready'> | void>;

/** Milliseconds for the master's answer; in looks, as a process that was busy for longer still has to read what has come. */
const ASKED = { look: 100, looks: 10, most: 60_000 };

/**
 * False where the master closes, as the signal was for all: it stops accepting, closes the workers and then the agent, which they
 * may need until then (test/integration/signal-to-all.test.ts). A master that does not answer decides nothing.
 */
async function mayLeave(channel: Channel<ChildRole, 'master'>): Promise<boolean> {
  const answer = channel.request('child.mayLeave', null, { timeout: ASKED.most }).catch(() => true);
  for (let look = 0; look < ASKED.looks; look++) if (await atMost(ASKED.look, answer)) return answer;
  return true;
}

/** The life of a child process, alike for agent and worker: hello, boot, parts, app, ready; then whatever ends it. */
function run(load: Load): void {
  watchOutput();
  outliveTerminal();
  const mark = process.env[MARK];
  if (mark !== undefined) passOn(MARK, mark);
  let runtime: ChildRuntime | null = null;
  const channel = openChannel();

  const close = (reason: CloseReason, timeout: number, code: number, streamTimeout = runtime?.boot.streamTimeout ?? 0): void => {
    if (!runtime) process.exit(code);
    void closeDown(runtime, signals, { reason, timeout, streamTimeout, code });
  };
  const leave = async () => {
    if (!await mayLeave(channel)) return;
    channel.send('child.leaving', { reason: 'signal' });
    close('signal', runtime?.boot.timeout ?? 0, 0);
  };
  const signals = new Signals(() => void leave());
  channel.on('child.close', ({ reason, timeout, streamTimeout }) => close(reason, timeout, 0, streamTimeout));
  channel.on('child.move', ({ timeout }) => {
    const { closing } = runtime ?? {};
    if (!closing || closing.movedAt !== null) return;
    closing.movedAt = performance.now();
    closing.streamDeadline = Math.min(closing.streamDeadline, closing.movedAt + timeout);
  });
  channel.on('child.hurry', () => hurry(runtime?.closing ?? null));
  masterGone(channel, () => {
    pastMaster();
    runtime?.logger.error(`the master is gone, exiting with code:${MASTER_GONE}`);
    close('masterGone', runtime?.boot.timeout ?? 0, MASTER_GONE);
  });

  channel.on('child.boot', (boot) => {
    if (boot.log.files) throughMaster(boot.log.files);
    const booted = runtime = new ChildRuntime(boot, channel);
    booted.leave = async (reason, { code, timeout }) => {
      channel.send('child.leaving', { reason });
      return closeDown(booted, signals, { reason, timeout, streamTimeout: boot.streamTimeout, code });
    };
    void start(booted, load);
  });
  channel.send('child.hello', { node: process.version });
}

/** What the one process of `--workers 0` has of its master, where the others have a process of their own. */
export interface Host {
  /** All of it ends now, by the app's decision. */
  leave(reason: CloseReason, code: number): void;
  /** The app has ended. */
  exit(code: number): void;
  /** Runs the app's own signal handlers. */
  release(): Promise<void>;
  /** Of a daemon: to its log files. */
  print?(which: 'out' | 'err', bytes: Buffer): void;
}

/** The same in the master's process: its signals and its end are the master's business. */
function runHere(load: Load, wire: Wire, host: Host): void {
  watchOutput();
  const channel = new Channel<ChildRole, 'master'>(wire, { declaring: true });
  let runtime: ChildRuntime | null = null;
  let decided = 0;
  endBy((code) => host.exit(code));
  if (host.print) printBy(host.print);
  channel.on('child.close', ({ reason, timeout, streamTimeout }) => {
    if (!runtime) host.exit(0);
    else void closeDown(runtime, host, { reason, timeout, streamTimeout, code: decided });
  });
  channel.on('child.move', () => {});
  channel.on('child.hurry', () => hurry(runtime?.closing ?? null));
  channel.on('child.boot', (boot) => {
    runtime = new ChildRuntime({ ...boot, processTitle: String(boot.config.title) }, channel, { own: false, name: 'app' });
    runtime.leave = (reason, { code }) => {
      decided = code;
      host.leave(reason, code);
      return new Promise<never>(() => {});
    };
    void start(runtime, load);
  });
  channel.send('child.hello', { node: process.version });
}

async function start(runtime: ChildRuntime, load: Load): Promise<void> {
  const { boot, channel, hooks } = runtime;
  process.title = boot.processTitle;
  takeWords(boot.words);
  const lastWords = keepLastWords(runtime);
  let served: DataOf<'child.ready'> | void = undefined;
  try {
    await runParts(runtime, boot.parts);
    channel.declared();
    await hooks.boot.call(boot);
    await runtime.released;
    served = await Promise.race([load(boot, runtime), runtime.steps.failed]);
    await runtime.steps.settled();
  } catch (error) {
    lastWords.fail(error);
  }
  if (runtime.closing || lastWords.failed) return;
  runtime.ready = true;
  lastWords.forget();
  // The master shows it as the reason of the death; what happens is for Node, the app or graceful-exit to say.
  process.on('uncaughtExceptionMonitor', (error) => { channel.send('child.failed', { phase: 'run', error: wire(error) }); });
  channel.hold(true);
  runtime.messenger.started();
  channel.send('child.ready', served ?? { addresses: [], missing: [], instead: false });
}
