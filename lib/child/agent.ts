import { loadAgent } from './agent-loader.js';
import { createContext } from './runtime.js';
import { run } from './run.js';

run((boot, runtime) => loadAgent(boot, createContext(runtime), runtime));
