import { loadApp } from './app-loader.js';
import { createContext } from './runtime.js';
import { acceptHeldSockets } from './held-socket.js';
import { run } from './run.js';
import { serve } from './serve.js';
import { trackServers } from './server-tracker.js';
import { takeConnections } from './take-connections.js';
import { warmUp } from './typescript.js';

warmUp();
takeConnections();
run(async (boot, runtime) => {
  trackServers(runtime);
  acceptHeldSockets(runtime);
  const context = createContext(runtime);
  await serve(await loadApp(boot), boot, context, runtime);
});
