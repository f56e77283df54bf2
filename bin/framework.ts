#!/usr/bin/env node
import module from 'node:module';
import path from 'node:path';
import { afterStart, codeDirectory, loadCompiled } from './compiled.js';

// Compiled code kept from one start to the next; what is loaded before would miss it.
const { enableCompileCache, flushCompileCache } = module as { enableCompileCache?: (dir: string) => unknown; flushCompileCache?: () => void };
if (enableCompileCache) {
  const dir = codeDirectory();
  if (dir !== null) {
    enableCompileCache(dir);
    if (flushCompileCache) afterStart(flushCompileCache);
  }
} else {
  loadCompiled(path.join(import.meta.dirname, '../core.cjs'));
}
void import('./index.js').then(({ Program }) => new Program().start());
