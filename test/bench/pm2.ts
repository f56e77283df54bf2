import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fixture } from '../helpers/cluster.js';
import type { Contender } from './contender.js';

/** pm2 is no dependency of ours (its size, its licence); who wants it beside us asks for it, and it goes to a folder of its own. */
export async function pm2(): Promise<Contender> {
  const dir = path.join(os.tmpdir(), 'hatchery-bench-pm2');
  const bin = path.join(dir, 'node_modules/pm2/bin/pm2-runtime');
  if (!existsSync(bin)) {
    mkdirSync(dir, { recursive: true });
    execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', dir, 'pm2'], { stdio: 'inherit' });
  }
  return { name: 'pm2', args: [bin, 'start', fixture('bench/pm2.config.cjs')], env: { PM2_HOME: path.join(dir, 'home') } };
}
