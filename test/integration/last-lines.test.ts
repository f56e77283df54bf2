import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { unsuited } from '../helpers/skips.js';
import { UnreadPipe } from '../helpers/unread-pipe.js';

// What is written right before an end, to somebody who begins to read two seconds later.
const skip = process.platform === 'win32' && unsuited.linux;
const COUNT = 20_000;
const READS_AFTER = 2_000;

const burst = (name: string, print = 'console.log') => `for (let i = 0; i < ${COUNT}; i++) ${print}('${name} ' + i);`;
const app = {
  'server.js': `
    if (process.env.BURST === 'boot') { ${burst('line')} throw new Error('no database'); }
    if (process.env.BURST === 'timer') { setTimeout(() => { ${burst('line')} throw new Error('no database'); }, 50); return; }
    if (process.env.BURST === 'fills') process.on('SIGTERM', () => { ${burst('line')} process.exit(0); });
    if (process.env.BURST === 'handler') process.on('SIGTERM', () => process.exit(0));
    require('node:http').createServer((request, response) => {
      if (request.url === '/pid') return response.end(String(process.pid));
      if (request.url === '/crash') response.end(() => { ${burst('line')} throw new Error('a bug'); });
      else if (request.url === '/both') setTimeout(() => { ${burst('line')} ${burst('other', 'console.error')} response.end(); });
      else if (request.url === '/burst') setTimeout(() => { ${burst('line')} response.end(); }, 300);
      else response.end();
    }).listen(process.env.PORT);`,
};

interface Given { burst?: string; files?: Record<string, string | object>; ready?: boolean; err?: UnreadPipe }

async function start(t: TestContext, pipe: UnreadPipe, given: Given = {}): Promise<TestCluster> {
  const { burst = '', files = {}, ready = true, err = pipe } = given;
  const cluster = await startCluster(t, ownApp(t, { ...app, ...files }).dir, {
    flags: ['-w', '1'], ready: false, stdio: ['ignore', pipe.fd, err.fd], env: { BURST: burst },
  });
  if (ready) await pipe.seen(/started on http/);
  return cluster;
}

const later = () => new Promise((resolve) => setTimeout(resolve, READS_AFTER));

/** Every line of a burst came, whole and in order. */
async function assertWhole(pipe: UnreadPipe, name = 'line'): Promise<void> {
  await eventually(() => pipe.read().includes(`${name} ${COUNT - 1}\n`), 3_000).catch(() => {});
  const lines = pipe.text.split('\n').filter((line) => line.startsWith(`${name} `));
  assert.equal(lines.length, COUNT);
  assert.deepEqual(lines, Array.from({ length: COUNT }, (_, i) => `${name} ${i}`));
}

/** To its end, what there is read all the while. */
async function readToEnd(pipe: UnreadPipe, cluster: TestCluster): Promise<number | null> {
  await eventually(() => {
    pipe.read();
    return cluster.exited;
  }, 15_000);
  return (await cluster.exit).code;
}

test('a graceful end', { skip }, async (t) => {
  const pipe = new UnreadPipe(t);
  const cluster = await start(t, pipe);
  const answered = get(`${cluster.url}/burst`);
  await get(cluster.url);
  cluster.signal('SIGTERM');
  await answered;
  await later();
  assert.equal(await readToEnd(pipe, cluster), 0);
  await assertWhole(pipe);
  // The master's own, which came while the pipe was full, are counted.
  assert.match(pipe.text, /exit with code:0|lines? dropped here/);
});

test('an app whose own signal handler exits at once', { skip }, async (t) => {
  const pipe = new UnreadPipe(t);
  const cluster = await start(t, pipe, { burst: 'handler' });
  await get(`${cluster.url}/burst`);
  cluster.signal('SIGTERM');
  await later();
  assert.equal(await readToEnd(pipe, cluster), 0);
  await assertWhole(pipe);
});

test('the master\'s own last lines, where a worker has filled the pipe at the end and gone', { skip }, async (t) => {
  const pipe = new UnreadPipe(t);
  const cluster = await start(t, pipe, { burst: 'fills' });
  cluster.signal('SIGTERM');
  await later();
  await later();
  assert.equal(await readToEnd(pipe, cluster), 0);
  assert.match(pipe.text, /\d+ lines? dropped here: nobody read them for \d+ s/);
});

test('stdout and stderr, in pipes of their own', { skip }, async (t) => {
  const [pipe, err] = [new UnreadPipe(t), new UnreadPipe(t)];
  const cluster = await start(t, pipe, { err });
  await get(`${cluster.url}/both`);
  cluster.signal('SIGTERM');
  await later();
  await assertWhole(err, 'other');
  assert.equal(await readToEnd(pipe, cluster), 0);
  await assertWhole(pipe);
});

test('an uncaught exception, and its own line behind', { skip }, async (t) => {
  const pipe = new UnreadPipe(t);
  const cluster = await start(t, pipe);
  const { text: pid } = await get(`${cluster.url}/pid`);
  await get(`${cluster.url}/crash`);
  await later();
  await assertWhole(pipe);
  await pipe.seen(/a bug/);
  assert.match(pipe.text.slice(pipe.text.indexOf('line 19999\n')), /ERROR \d+ \[worker#0\] uncaught exception: .*\nError: a bug\n/);
  await eventually(async () => (await get(`${cluster.url}/pid`)).text !== pid);
});

for (const when of ['boot', 'timer']) {
  test(`a start that fails (${when})`, { skip }, async (t) => {
    const pipe = new UnreadPipe(t);
    const cluster = await start(t, pipe, { burst: when, ready: false });
    await later();
    assert.equal(await readToEnd(pipe, cluster), 1);
    await assertWhole(pipe);
    assert.match(pipe.text, /\[worker#0\] failed to start\nError: no database/);
  });
}

test('the agent, whose deadline is shorter than the reader is slow', { skip }, async (t) => {
  const pipe = new UnreadPipe(t);
  const files = {
    'agent.js': `module.exports = (context) => context.onClose(() => { ${burst('line')} });`,
    '.clusterrc': { plugins: { 'graceful-exit': { agentTimeout: 500 } } },
  };
  const cluster = await start(t, pipe, { files });
  cluster.signal('SIGTERM');
  await later();
  assert.equal(await readToEnd(pipe, cluster), 0);
  await assertWhole(pipe);
});

test('the master was killed', { skip }, async (t) => {
  const pipe = new UnreadPipe(t);
  const cluster = await start(t, pipe);
  await get(`${cluster.url}/burst`);
  cluster.signal('SIGKILL');
  await later();
  await assertWhole(pipe);
  await cluster.assertNothingLeft(3_000);
});

test('nobody ever reads: six seconds, and no longer', { skip }, async (t) => {
  const pipe = new UnreadPipe(t);
  const cluster = await start(t, pipe);
  await get(`${cluster.url}/burst`);
  const began = performance.now();
  const { code, at } = await cluster.stop(12_000);
  assert.equal(code, 0);
  assert.ok(at - began > 5_500 && at - began < 8_000, `${at - began} ms`);
  await cluster.assertNothingLeft();
});
