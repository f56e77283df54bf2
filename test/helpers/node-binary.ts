import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** A Node.js of another major version, from its npm package; kept in the user's temporary directory. */
export function nodeBinary(major: string): string {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const dir = path.join(os.tmpdir(), `hatchery-test-node-${major}`);
  const file = path.join(dir, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  if (!existsSync(file)) {
    mkdirSync(dir, { recursive: true });
    execFileSync('npm', [
      'install', '--prefix', dir, '--no-save', '--no-audit', '--no-fund', `node-${process.platform}-${process.arch}@${major}`,
    ], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  return file;
}
