import type { Status } from '../lib/api/control.js';
import { ControlClient } from './client.js';
import { isAlive, listInstances, type InstanceRecord } from '../lib/control/registry.js';
import { ClusterError } from '../lib/kit/errors.js';
import { descendants, killTree, signal } from '../lib/kit/processes.js';
import { print } from './output.js';

/** How often one looks whether it is gone, and how often what it waits for is said, ms. */
const LOOK = 50;
const SAY = 1_000;
/** What the master gets to end by itself once its children were killed, ms. */
const AFTER_FORCE = 2_000;

export interface StopOptions {
  /** Kill what is left after `timeout`. */
  force: boolean;
  /** Milliseconds. */
  timeout: number;
  /** What the log says of why; by itself `stop`. */
  reason?: string;
}

/** Asks a running instance to close and waits until it is gone; false when it is still there after the deadline. */
export async function stopInstance(record: InstanceRecord, { force, timeout, reason = 'stop' }: StopOptions): Promise<boolean> {
  const client = new ControlClient(record);
  const deadline = Date.now() + timeout;
  let gone = false;
  const asked = client.run(`/stop?reason=${reason}`, ({ text }) => { print(text); }).catch((error: unknown) => {
    if (gone || !(error instanceof ClusterError)) return;
    // No socket, as in a read-only container, or one that does not answer: the signal says the same.
    signal(record.pid, 'SIGTERM');
  });
  let said = '';
  let nextWord = Date.now() + SAY;
  while (Date.now() < deadline) {
    if (gone = !await isAlive(record)) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    if (Date.now() < nextWord) continue;
    nextWord = Date.now() + SAY;
    const words = await client.status(SAY).then(waitingFor, () => '');
    if (words && words !== said) print(said = words);
  }
  if (!gone && force) gone = await killAll(record, client);
  if (gone) await asked;
  // A master that was killed leaves its record to whoever looks next.
  if (gone) await listInstances();
  return gone;
}

async function killAll(record: InstanceRecord, client: ControlClient): Promise<boolean> {
  // A worker of it may have started this command.
  const isOwn = (pid: number): boolean => pid === process.pid;
  const pids = await descendants(record.pid, isOwn);
  print(`still there, killing ${[record.pid, ...pids].length} processes`);
  void client.run('/stop?force=1').catch(() => {});
  if (await goneWithin(record, AFTER_FORCE)) return true;
  await killTree(record.pid, isOwn);
  for (const pid of pids) signal(pid, 'SIGKILL');
  return goneWithin(record, AFTER_FORCE);
}

async function goneWithin(record: InstanceRecord, limit: number): Promise<boolean> {
  const deadline = Date.now() + limit;
  for (;;) {
    if (!await isAlive(record)) return true;
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

/** `waiting for worker#0 (pid 12): 3 requests, 1 socket, onClose "db"`. */
function waitingFor({ agent, workers, app }: Status): string {
  const children = [...agent ? [agent] : [], ...workers, ...app ? [app] : []];
  const lines = children.flatMap(({ slot, pid, state, waiting }) => {
    if (state === 'exited') return [];
    const name = app ? 'the app' : slot < 0 ? 'agent' : `worker#${slot}`;
    const { requests = 0, sockets = 0, tasks = [] } = waiting ?? {};
    const what = [count(requests, 'request'), count(sockets, 'socket'), ...tasks].filter(Boolean).join(', ');
    return [`waiting for ${name} (pid ${pid})${what ? `: ${what}` : ''}`];
  });
  return lines.join('\n');
}

const count = (number: number, word: string): string => number === 0 ? '' : `${number} ${word}${number === 1 ? '' : 's'}`;
