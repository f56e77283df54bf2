import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from './cluster.js';

/** A configuration file of its own for a test that shares its app with others; the path for `--config`. */
export function withConfig(scope: Scope, config: object): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hc-'));
  scope.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'cluster.json');
  writeFileSync(file, JSON.stringify(config));
  return file;
}
