import path from 'node:path';
import { loadCompiled } from '../kit/compiled.js';

loadCompiled(path.join(import.meta.dirname, 'agent.cjs'), 'agent');
