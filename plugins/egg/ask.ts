import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';

/**
 * A process of its own (own-start.ts): calls a framework's `startCluster`, with Egg's replaced by one that only says what it was
 * called with. argv: the framework's main file, options as JSON; the answer goes to descriptor 3.
 */
const [, , main = '', json = '{}'] = process.argv;
const before = { ...process.env };

/** Egg's packages that have the function. */
const CLUSTERS = ['egg-cluster', '@eggjs/cluster'];

function answer(options: Record<string, unknown>): Promise<void> {
  const changed = Object.entries(process.env).filter(([name, value]) => before[name] !== value);
  writeSync(3, JSON.stringify({ options, env: Object.fromEntries(changed) }));
  process.exit(0);
}

/** Where the framework finds Egg, and Egg its cluster. */
function replaceIn(from: NodeJS.Require, depth = 0): void {
  for (const name of CLUSTERS) {
    try {
      (from(name) as { startCluster: unknown }).startCluster = answer;
    } catch {
      // It has the other one, or none of its own.
    }
  }
  if (depth > 0) return;
  try {
    replaceIn(createRequire(from.resolve('egg')), 1);
  } catch {
    // A framework that brings all by itself.
  }
}

const own = createRequire(main);
replaceIn(own);
const framework = own(main) as { startCluster?(options: object, callback: () => void): unknown };
void Promise.resolve(framework.startCluster?.(JSON.parse(json) as object, () => {})).then(() => {});
