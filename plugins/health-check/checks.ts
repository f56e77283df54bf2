import { atMost, type HealthCheck } from '../../lib/runtime.js';
import type { FailedCheck } from './messages.js';

/** Characters of a name and of a reason that the master is told. */
const LINE = 1_000;

/** Runs the app's readiness checks side by side, each for at most `timeout` ms; those that fail. */
export async function runChecks(checks: ReadonlyMap<string, HealthCheck>, timeout: number): Promise<FailedCheck[]> {
  const results = await Promise.all([...checks].map(async ([name, check]): Promise<FailedCheck | null> => {
    const reason = await reasonOf(check, timeout);
    return reason === null ? null : { name: name.slice(0, LINE), reason: reason.slice(0, LINE) };
  }));
  return results.filter((result) => result !== null);
}

async function reasonOf(check: HealthCheck, timeout: number): Promise<string | null> {
  let passed: unknown;
  try {
    const done = (async () => { passed = await check(); })();
    if (!await atMost(timeout, done)) return `not done within ${timeout} ms`;
    return passed === false ? 'returned false' : null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
