import { setTimeout as delay } from 'node:timers/promises';

/** The inspector of a process that runs JavaScript answers within a small part of this, ms; one that merely waits never does. */
const LIMIT = 2_000;
/** Between two looks, ms. */
const APART = 300;

/** The stack of a process that does not get on, as an error would have it: at two looks it is busy in the same function. Else null. */
export async function whereItLoops(pid: number): Promise<string | null> {
  const first = await look(pid);
  if (!first) return null;
  await delay(APART);
  const second = await look(pid);
  return second && first.bottom === second.bottom ? second.stack : null;
}

async function look(pid: number): Promise<{ stack: string; bottom: string } | null> {
  try {
    const { findInspector, openInspector, pause } = await import('../health-check/inspector.js');
    const signal = AbortSignal.timeout(LIMIT);
    const url = await findInspector(pid) ?? await openInspector(pid, signal);
    return await pause(url, signal, ({ frames }) => Promise.resolve({
      stack: frames.map(({ name, file, line, column }) => `    at ${name} (${file}:${line}:${column})`).join('\n'),
      // All but the innermost: what a loop calls changes, who called the loop does not.
      bottom: frames.slice(1).map(({ name, file, line }) => `${name} ${file}:${line}`).join('\n') || String(frames[0]?.name),
    }));
  } catch {
    return null;
  }
}
