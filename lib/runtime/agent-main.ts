import path from 'node:path';
import { loadCompiled } from '../compiled.js';

loadCompiled(path.join(import.meta.dirname, 'agent.cjs'), 'agent');
