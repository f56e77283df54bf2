import type { Context } from '../api/runtime.js';
import type { BootInfo } from '../ipc/messages.js';
import { hearReady } from '../ipc/ready.js';
import { ClusterError } from '../kit/errors.js';
import { acceptHeldSockets, takeConnections, takeSlotSockets } from './connections.js';
import { serveFramework } from './egg-framework.js';
import { loadAgent, loadApp, warmUp } from './load.js';
import { Readiness, type Reached } from './readiness.js';
import { run } from './run.js';
import { createContext, type ChildRuntime } from './runtime.js';
import { resolved, serve, untilServing } from './serve.js';
import { listenStateOf, trackServers } from './server-tracker.js';

/** What a worker's process does; each role is a bundle of its own (build.mjs), so that an agent loads nothing that serves. */
export function worker(): void {
  warmUp();
  takeConnections();
  run(async (boot, runtime) => {
    trackServers(runtime);
    acceptHeldSockets(runtime);
    takeSlotSockets(runtime);
    const state = listenStateOf(runtime);
    const readiness = new Readiness(boot.listen, state);
    // What becomes ready in this moment says it with that.
    state.onChange(() => {
      if (runtime.closing === null && readiness.done === runtime.ready) runtime.channel.send('child.listening', state.served());
    });
    hearReady(() => readiness.said());
    const started = start(boot, runtime, createContext(runtime, () => readiness.said()), readiness);
    const reached = await firstOf(readiness, started);
    return { addresses: state.served(), ...reached };
  });
}

/** What the agent's process does. */
export function agent(): void {
  run((boot, runtime) => loadAgent(boot, createContext(runtime), runtime));
}

async function start(boot: BootInfo, runtime: ChildRuntime, context: Context, readiness: Readiness): Promise<void> {
  const exported = await loadApp(boot);
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
