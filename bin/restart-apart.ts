import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { InstanceRecord } from '../lib/control/registry.js';
import { MARK } from '../lib/ipc/messages.js';
import { ClusterError } from '../lib/kit/errors.js';
import { startDaemon } from './launch.js';
import { print } from './output.js';
import type { Restart } from './restart-check.js';
import { stopInstance, type StopOptions } from './stop-instance.js';

/** What is to be done once everything that can fail has been looked at. */
interface Orders extends StopOptions {
  record: InstanceRecord;
  next: Restart;
}

/**
 * Stops an instance and starts it again in a process that has a session of its own: this command may end in between, with the
 * terminal that it was typed in, or with the worker that has started it, and the site comes up all the same. Resolves with the
 * exit code.
 */
export async function restartApart(orders: Orders): Promise<number> {
  const [, ...words] = process.argv;
  const child = spawn(process.execPath, [...process.execArgv, ...words], {
    env: { ...process.env, HATCHERY_RESTART: 'on', [MARK]: undefined },
    detached: true,
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  child.stdin?.on('error', () => {});
  // Not in the environment nor on the command line: variables of the instance are secrets.
  child.stdin?.end(`${JSON.stringify(orders)}\n`);
  const [code, signal] = await ended;
  if (signal) throw new ClusterError('ERR_CLUSTER_CONTROL', `${orders.record.title}: what restarts it was ended by ${signal}`);
  return code ?? 1;
}

/** In that process. What has not come whole is no order, and nothing has been touched. */
export async function finishRestart(): Promise<number> {
  delete process.env.HATCHERY_RESTART;
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk as string;
  if (!text.endsWith('\n')) return 1;
  const { record, next, force, timeout } = JSON.parse(text) as Orders;
  const { title, pid } = record;
  if (!await stopInstance(record, { force, timeout })) {
    throw new ClusterError('ERR_CLUSTER_CONTROL',
      `${title} (pid ${pid}) is still there after ${timeout} ms, so it was not started again; --force kills what is left`);
  }
  print(`${title} stopped (pid ${pid})`);
  return startDaemon(next);
}
