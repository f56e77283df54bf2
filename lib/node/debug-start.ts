import { spawn } from 'node:child_process';
import { inTime } from '../kit/time.js';

/**
 * Opens the inspector of another process, as SIGUSR1 does: it answers on a thread of its own, whatever the JavaScript does.
 * Throws where there is no such process.
 */
export function startInspector(pid: number): void {
  (process as unknown as { _debugProcess(pid: number): void })._debugProcess(pid);
}

/** A process in an endless loop says that its inspector listens. */
export async function probe(): Promise<string | null> {
  const LOOP = 'process.stdout.write("up"); for (;;);';
  const child = spawn(process.execPath, ['--inspect-port=0', '-e', LOOP], { stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    await new Promise((resolve, reject) => child.once('error', reject).stdout.once('data', resolve));
    const listens = new Promise<void>((resolve) => child.stderr.on('data', (data) => {
      if (/Debugger listening on ws:/.test(String(data))) resolve();
    }));
    startInspector(child.pid as number);
    await inTime(800, () => listens, () => new Error('`process._debugProcess` does not open the inspector of a process in a loop'));
    return null;
  } finally {
    child.kill('SIGKILL');
  }
}
