import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { residentBytes, startCluster, type Scope } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

interface Report {
  slot: number;
  pid: number;
  asked: number;
  answered: number;
  wrong: number;
  resolved: number;
  errors: Record<string, number>;
}
interface Wrong { wrong: string; pid: number; number: number; before: number }

/** Codes that a request may end with when the agent dies under it. */
const EXPECTED = new Set(['ERR_CLUSTER_CHANNEL_CLOSED']);

/**
 * Workers ask the agent all the time, while it is killed and everything is reloaded: each request ends in its own answer or in an
 * error that says why, and what one worker sends comes in order.
 */
export async function messagesUnderKills(
  scope: Scope, { workers, kills, reloads, messages }: { workers: number; kills: number; reloads: number; messages: number },
): Promise<string> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hm-'));
  scope.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'report');
  writeFileSync(file, '');
  const cluster = await startCluster(scope, 'messages-load', { flags: ['-w', String(workers)], env: { REPORT: file }, deadline: 60_000 });
  const asked = async (): Promise<number> => ((await get(cluster.url)).json as unknown as Report).asked;

  for (let round = 0; round < Math.max(kills, reloads); round++) {
    const until = await asked() + 500;
    while (await asked() < Math.min(until, 500)) await new Promise((resolve) => setTimeout(resolve, 50));
    if (round < kills) {
      const { agent } = await cluster.status();
      const from = cluster.output.length;
      process.kill(agent!.pid, 'SIGKILL');
      await cluster.waitFor(/agent_worker#\d+:\d+ started/, 30_000, from);
    }
    if (round < reloads) {
      const reload = await cluster.run('reload', [], 120_000);
      if (reload.code !== 0) throw new Error(`reload: ${reload.stdout}${reload.stderr}`);
    }
  }
  const perWorker = messages / workers / (reloads + 1);
  for (let now = 0; now < perWorker; now = await asked()) await new Promise((resolve) => setTimeout(resolve, 100));
  await cluster.stop(60_000);
  await cluster.assertNothingLeft();

  const lines = readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Report | Wrong);
  const misplaced = lines.filter((line): line is Wrong => 'before' in line);
  const reports = lines.filter((line): line is Report => 'asked' in line);
  const errors: Record<string, number> = {};
  const sum = { asked: 0, answered: 0, wrong: 0, failed: 0 };
  for (const one of reports) {
    const failed = Object.entries(one.errors).reduce((all, [code, count]) => {
      errors[code] = (errors[code] ?? 0) + count;
      return all + count;
    }, 0);
    if (one.asked !== one.resolved || one.answered + one.wrong + failed !== one.asked) {
      throw new Error(`worker#${one.slot}: ${JSON.stringify(one)}: not every request has ended`);
    }
    sum.asked += one.asked;
    sum.answered += one.answered;
    sum.wrong += one.wrong;
    sum.failed += failed;
  }
  const text = `${sum.asked} requests of ${reports.length} workers: ${sum.answered} answered, ${JSON.stringify(errors)}`;
  if (reports.length !== workers * (reloads + 1)) throw new Error(`${reports.length} reports\n${text}\n${cluster.output}`);
  if (sum.wrong > 0 || misplaced.length > 0) {
    throw new Error(`${text}\n${sum.wrong} wrong answers, out of order: ${JSON.stringify(misplaced.slice(0, 5))}`);
  }
  const odd = Object.keys(errors).filter((code) => !EXPECTED.has(code));
  if (odd.length > 0) throw new Error(`${text}\nnot expected: ${odd.join(', ')}`);
  return text;
}

/**
 * A worker sends faster than the agent takes for `duration` ms: MiB that each process has grown to at most, from when it had
 * sent for a while.
 */
export async function slowReceiver(
  scope: Scope,
  { onFull, slow, polite = false, duration }: { onFull: string; slow: 'blocks' | 'waits'; polite?: boolean; duration: number },
): Promise<{ text: string; most: number; sent: { number: number; refused: number; waited: number } }> {
  const config = withConfig(scope, { workers: 1, messages: { onFull }, plugins: { 'health-check': { hangTimeout: 600_000 } } });
  const cluster = await startCluster(scope, 'messages-slow', {
    flags: ['--config', config], env: { SLOW: slow, POLITE: polite ? '1' : undefined }, deadline: 60_000,
  });
  const { agent, workers, master } = await cluster.status();
  const pids = { master: master.pid, agent: agent!.pid, worker: workers[0]!.pid };
  const most: Record<string, number> = {};
  const until = performance.now() + duration;
  while (performance.now() < until) {
    for (const [name, pid] of Object.entries(pids)) most[name] = Math.max(most[name] ?? 0, Math.round(residentBytes(pid) / 2 ** 20));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const sent = (await get(cluster.url)).json as unknown as { number: number; refused: number; waited: number; pid: number };
  if (sent.pid !== pids.worker) throw new Error(`the worker was replaced\n${cluster.output}`);
  await cluster.stop(60_000);
  return {
    text: `${onFull}, the agent ${slow}${polite ? ', the worker waits when told' : ''}: ${sent.number} messages of 10 KiB, `
      + `${sent.refused} refused, waited ${sent.waited} times; at most, MiB: ${JSON.stringify(most)}`,
    most: Math.max(...Object.values(most)),
    sent,
  };
}

/** MiB that a process with a full outbox, and what it reads, may have. */
export const BOUND = 200;

export async function slowReceivers(scope: Scope, { duration }: { duration: number }): Promise<string> {
  const lines: string[] = [];
  for (const onFull of ['wait', 'drop-oldest', 'error']) {
    for (const slow of ['blocks', 'waits'] as const) {
      const { text, most } = await slowReceiver(scope, { onFull, slow, duration });
      lines.push(text);
      if (most > BOUND) throw new Error(`${text}, of ${BOUND}`);
    }
  }
  return lines.join('\n');
}
