import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusPage, type ToldStatus } from '../../bin/status-page.js';
import type { ChildStatus, Status } from '../../lib/api/control.js';

const at = new Date(0).toISOString();
const child = (id: number, state: ChildStatus['state']): ChildStatus => ({
  id, slot: 0, pid: id, state, generation: 1, startedAt: at, restarts: 1, rss: null, cpu: null, eventLoopDelay: null,
  eventLoopUtilization: null,
  lastExit: { cause: 'crash', code: 1, signal: null, uptime: 5, pid: 9, at, error: 'oh no\nsecond line' },
});

test('an error that two processes of a slot have before them is told once', () => {
  const status: Status = {
    title: 'app', state: 'reloading', address: null,
  addresses: [], version: '1.0.0', node: '20.0.0', startedAt: at, master: { pid: 1, rss: 0 },
    agent: null,
    workers: [child(2, 'ready'), child(3, 'draining')], refork: { inWindow: 0, limit: 60, delays: {} }, lastReload: null,
    cut: 0, faults: 0, ducks: [], slowPaths: [],
  };
  assert.equal(statusPage(status).match(/last error of worker#0: oh no$/gm)?.length, 1);
});

test('a master of an older version tells less, and each of it may be missing', () => {
  const worker = { id: 1, slot: 0, pid: 7, state: 'ready', generation: 1, startedAt: at, restarts: 0 };
  const status = { title: 'app', state: 'running', version: '0.1.0', startedAt: at, master: { pid: 1 }, workers: [worker] };
  const page = statusPage(status as unknown as ToldStatus);
  assert.match(page, /^app  running  no address\nmaster pid 1, up .*, rss -, hatchery 0\.1\.0, node -\n/);
  assert.match(page, /worker#0 +7 +ready +1 +\S.* 0 +- +- +- +- +- +-$/m);
  assert.doesNotMatch(page, /undefined|NaN/);
});
