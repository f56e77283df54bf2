/** The inspector of a process that loops answers within a tenth of this, ms; one that merely waits never does. */
const LIMIT = 1_500;

/** The stack of a process that is busy in JavaScript, as an error would have it; null when it is not, or does not tell. */
export async function whereItStands(pid: number): Promise<string | null> {
  try {
    const { openInspector, pause } = await import('../health-check/inspector.js');
    const signal = AbortSignal.timeout(LIMIT);
    return await pause(await openInspector(pid, signal), signal, ({ frames }) =>
      Promise.resolve(frames.map(({ name, file, line, column }) => `    at ${name} (${file}:${line}:${column})`).join('\n')));
  } catch {
    return null;
  }
}
