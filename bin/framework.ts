#!/usr/bin/env node
import path from 'node:path';
import { loadCompiled } from '../lib/compiled.js';

// Each command needs other functions.
loadCompiled(path.join(import.meta.dirname, '../core.cjs'), /^[a-z]+$/.exec(process.argv[2] ?? '')?.[0] ?? '');
void import('./index.js').then(({ Program }) => new Program().start());
