/**
 * How code anywhere in a worker says that it is ready, where nothing shows it: by `ready()` of `hatchery/runtime`, in the main
 * thread or in a thread of its own, or by `process.send('ready')`, as PM2 has it. What says it and what hears it are bundles of
 * their own, so they meet in what the process has once.
 */
const SAID = Symbol.for('hatchery.ready');
/** Of the channel between the threads of this process; no other process has it. */
const CHANNEL = 'hatchery.ready';
/** Milliseconds after which a thread says it again: the main thread may be too busy to have heard of that thread yet. */
const AGAIN = 50;

type Emitter = { emit(name: symbol): boolean; once(name: symbol, then: () => void): void };

/** Loading it would cost every worker's start a millisecond. */
const threads = () => process.getBuiltinModule('node:worker_threads');

/**
 * Says that this worker is ready, whether it listens or not. Nothing happens when it is ready already, in the agent, and in a
 * process that is not ours.
 */
export function ready(): void {
  const { isMainThread, BroadcastChannel } = threads();
  if (isMainThread) {
    (process as unknown as Emitter).emit(SAID);
    return;
  }
  const channel = new BroadcastChannel(CHANNEL);
  const say = () => channel.postMessage('ready');
  const timer = setInterval(say, AGAIN).unref();
  channel.onmessage = ({ data }: { data?: unknown }) => {
    if (data !== 'heard') return;
    clearInterval(timer);
    channel.close();
  };
  (channel as unknown as { unref(): void }).unref();
  say();
}

/** Calls `then` when somebody in this process says that it is ready; to be called before anything of the app is loaded. */
export function hearReady(then: () => void): void {
  (process as unknown as Emitter).once(SAID, then);
  hearSent(then);
  // Emitted for each thread that is started: without one there is nothing to open.
  process.once('worker', () => {
    const channel = new (threads().BroadcastChannel)(CHANNEL);
    channel.onmessage = ({ data }: { data?: unknown }) => {
      if (data !== 'ready') return;
      channel.postMessage('heard');
      then();
    };
    (channel as unknown as { unref(): void }).unref();
  });
}

function hearSent(then: () => void): void {
  const { send } = process;
  if (!send) return;
  process.send = function hear(this: NodeJS.Process, ...args: unknown[]) {
    if (args[0] === 'ready') then();
    return Reflect.apply(send as (...args: unknown[]) => boolean, this, args);
  };
}
