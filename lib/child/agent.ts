import { loadAgent } from './load.js';
import { run } from './run.js';
import { createContext } from './runtime.js';

/** The entry of an agent's process; a file of its own, as worker.ts is, because each is one bundle. */
run((boot, runtime) => loadAgent(boot, createContext(runtime), runtime));
