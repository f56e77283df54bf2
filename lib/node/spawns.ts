import { ChildProcess, execFile } from 'node:child_process';
import { slowPath } from './slow-paths.js';

interface SpawnOptions {
  /** `NAME=value`, as the new process gets them. */
  envPairs?: string[];
  detached?: boolean;
}
type Spawn = (this: ChildProcess, options: SpawnOptions) => unknown;

/**
 * Every process that this one starts from now on, detached ones excepted, has this variable, also where it is given an
 * environment of its own: `spawn(file, { env: {} })`. All functions of child_process but the synchronous ones go through one
 * method, whose name is all that is documented of it.
 */
export function passOn(name: string, value: string): void {
  const prototype = ChildProcess.prototype as unknown as { spawn?: Spawn };
  const { spawn } = prototype;
  if (typeof spawn !== 'function') {
    return slowPath('Node starts processes in another way: what is started with `env` and left behind is not found');
  }
  prototype.spawn = function (options) {
    const { envPairs, detached } = options ?? {};
    if (Array.isArray(envPairs) && !detached && !envPairs.some((pair) => pair.startsWith(`${name}=`))) envPairs.push(`${name}=${value}`);
    return spawn.call(this, options);
  };
}

/** A process that is given no environment has the variable all the same. */
export async function probe(): Promise<string | null> {
  const prototype = ChildProcess.prototype as unknown as { spawn?: Spawn };
  const { spawn } = prototype;
  passOn('HATCHERY_PROBE_PASSED', 'on');
  try {
    const script = 'process.stdout.write(String(process.env.HATCHERY_PROBE_PASSED))';
    const told = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, ['-e', script], { env: {} }, (error, out) => { if (error) reject(error); else resolve(out); });
    });
    return told === 'on' ? null : `what a process is started with is not \`ChildProcess.prototype.spawn\`'s \`envPairs\`: ${told}`;
  } finally {
    prototype.spawn = spawn;
  }
}
