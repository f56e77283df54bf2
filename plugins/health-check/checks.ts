import type { HealthCheck } from '../../lib/index.js';
import type { FailedCheck } from './messages.js';

/** Runs the app's readiness checks side by side, each for at most `timeout` ms; those that fail. */
export async function runChecks(checks: ReadonlyMap<string, HealthCheck>, timeout: number): Promise<FailedCheck[]> {
  const results = await Promise.all([...checks].map(async ([name, check]): Promise<FailedCheck | null> => {
    const reason = await reasonOf(check, timeout);
    return reason === null ? null : { name, reason };
  }));
  return results.filter((result) => result !== null);
}

async function reasonOf(check: HealthCheck, timeout: number): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => { timer = setTimeout(() => resolve(`not done within ${timeout} ms`), timeout); });
  const done = (async () => await check() === false ? 'returned false' : null)();
  try {
    return await Promise.race([done, late]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}
