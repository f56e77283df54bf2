import path from 'node:path';
import { loadCompiled } from '../kit/compiled.js';

loadCompiled(path.join(import.meta.dirname, 'worker.cjs'), 'worker', process.env.CLUSTER_SLOT === '0');
