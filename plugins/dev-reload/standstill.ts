import { setTimeout as delay } from 'node:timers/promises';

/** The inspector of a process that runs JavaScript answers within a small part of this, ms; one that merely waits never does. */
const LIMIT = 2_000;
/** Between two looks, ms. */
const APART = 300;

/** Of the time between them, in which it was not kept from running, a process that does not get on has run this part at least. */
const BUSY = 0.7;

/**
 * The stack of a process that does not get on, as an error would have it: at two looks it is busy in the same function, and
 * was so all the time between, as what waits for a timer is met in that timer too. Else null.
 */
export async function whereItLoops(pid: number): Promise<string | null> {
  const first = await look(pid);
  if (!first) return null;
  const before = await spent(pid);
  await delay(APART);
  const after = await spent(pid);
  const ran = before.cpu === null || after.cpu === null || after.cpu - before.cpu >= BUSY * (after.free - before.free);
  const second = ran ? await look(pid) : null;
  return second && first.bottom === second.bottom ? second.stack : null;
}

async function spent(pid: number): Promise<{ cpu: number | null; free: number }> {
  const { processFacts, starved } = await import('../health-check/process-facts.js');
  const [{ cpu }, kept] = await Promise.all([processFacts(pid), starved(pid)]);
  return { cpu, free: performance.now() - kept };
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
