import { acceptHeldSockets, takeConnections } from './connections.js';
import { serveFramework } from './egg-framework.js';
import { loadAgent, loadApp, warmUp } from './load.js';
import { run } from './run.js';
import { createContext } from './runtime.js';
import { serve } from './serve.js';
import { trackServers } from './server-tracker.js';

/** What a worker's process does; each role is a bundle of its own (build.mjs), so that an agent loads nothing that serves. */
export function worker(): void {
  warmUp();
  takeConnections();
  run(async (boot, runtime) => {
    trackServers(runtime);
    acceptHeldSockets(runtime);
    const exported = await loadApp(boot);
    if (boot.entry.kind === 'framework') return serveFramework(exported, boot, boot.entry, runtime);
    return serve(exported, boot, createContext(runtime), runtime);
  });
}

/** What the agent's process does. */
export function agent(): void {
  run((boot, runtime) => loadAgent(boot, createContext(runtime), runtime));
}
