import { ChildProcess, execFile, execFileSync } from 'node:child_process';
import { slowPath } from './slow-paths.js';

interface SpawnOptions {
  /** `NAME=value`, as the new process gets them. */
  envPairs?: string[];
  detached?: boolean;
}
type Spawn = (this: unknown, options: SpawnOptions) => unknown;

/** The two ways in which child_process starts a process: its class, and what its synchronous functions call. */
function starters(): { spawn?: Spawn }[] {
  const together = ChildProcess.prototype as unknown as { spawn?: Spawn };
  const { binding, noDeprecation } = process as unknown as { binding(name: string): { spawn?: Spawn }; noDeprecation?: boolean };
  // With --pending-deprecation every process would warn of us (DEP0111).
  process.noDeprecation = true;
  try {
    return [together, binding('spawn_sync')];
  } catch (error) {
    slowPath(`what a synchronous call starts with an environment of its own and leaves is not found: ${(error as Error).message}`);
    return [together];
  } finally {
    process.noDeprecation = noDeprecation;
  }
}

/**
 * Every process that this thread starts from now on, detached ones excepted, has this variable, also where it is given an
 * environment of its own: `spawn(file, { env: {} })`. All functions of child_process go through one of two, of which no more
 * than their names is documented. Returns what ends it.
 */
export function passOn(name: string, value: string): () => void {
  const undo = starters().map((starter) => wrap(starter, name, value));
  return () => { for (const one of undo) one(); };
}

function wrap(starter: { spawn?: Spawn }, name: string, value: string): () => void {
  const { spawn } = starter;
  if (typeof spawn !== 'function') {
    slowPath('Node starts processes in another way: what is started with `env` and left behind is not found');
    return () => {};
  }
  starter.spawn = function (options) {
    const { envPairs, detached } = options ?? {};
    if (Array.isArray(envPairs) && !detached && !envPairs.some((pair) => pair.startsWith(`${name}=`))) envPairs.push(`${name}=${value}`);
    return spawn.call(this, options);
  };
  return () => { starter.spawn = spawn; };
}

/** A process that is given no environment has the variable all the same. */
export async function probe(): Promise<string | null> {
  const undo = passOn('HATCHERY_PROBE_PASSED', 'on');
  try {
    const script = 'process.stdout.write(String(process.env.HATCHERY_PROBE_PASSED))';
    const told = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, ['-e', script], { env: {} }, (error, out) => { if (error) reject(error); else resolve(out); });
    });
    if (told !== 'on') return `what a process is started with is not \`ChildProcess.prototype.spawn\`'s \`envPairs\`: ${told}`;
    const toldAtOnce = execFileSync(process.execPath, ['-e', script], { env: {}, encoding: 'utf8' });
    return toldAtOnce === 'on' ? null : `what one is started with synchronously is not \`spawn_sync.spawn\`'s \`envPairs\`: ${toldAtOnce}`;
  } finally {
    undo();
  }
}
