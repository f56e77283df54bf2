import { acceptHeldSockets, takeConnections } from './connections.js';
import { serveFramework } from './egg-framework.js';
import { loadApp, warmUp } from './load.js';
import { run } from './run.js';
import { createContext } from './runtime.js';
import { serve } from './serve.js';
import { trackServers } from './server-tracker.js';

warmUp();
takeConnections();
run(async (boot, runtime) => {
  trackServers(runtime);
  acceptHeldSockets(runtime);
  const exported = await loadApp(boot);
  if (boot.entry.kind === 'framework') return serveFramework(exported, boot, boot.entry, runtime);
  return serve(exported, boot, createContext(runtime), runtime);
});
