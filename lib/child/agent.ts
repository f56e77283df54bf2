import { loadAgent } from './agent-loader.js';
import { createContext } from '../api/context.js';
import { run } from './run.js';

run((boot, runtime) => loadAgent(boot, createContext(runtime), runtime));
