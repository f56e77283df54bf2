import assert from 'node:assert/strict';
import test from 'node:test';
import { Faults } from '../../lib/kit/faults.js';
import { CHANNEL_FD } from '../../lib/ipc/channel.js';
import type { BootInfo } from '../../lib/ipc/messages.js';
import { Child } from '../../lib/master/processes/child.js';
import { NodeMessages } from '../../lib/master/processes/node-messages.js';
import { isBlockingCall, isSample } from '../../plugins/health-check/valid.js';
import { fixture } from '../helpers/cluster.js';
import { FakeForks } from '../helpers/fake-forker.js';

interface Mutator {
  random(seed: number): () => number;
  mutatedFrame(next: () => number, rough?: number): Buffer;
  mutatedLine(next: () => number, rough?: number): Buffer;
}
const { random, mutatedFrame, mutatedLine } = await import(`${fixture('hostile')}/mutator.js`) as Mutator;
const FRAMES = Number(process.env.TEST_FRAMES ?? 20_000);
/** Frames of one process. */
const LIFE = 50;
const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1e6);

test(`${FRAMES} mutated frames throw nothing (TEST_SEED=${SEED})`, async (t) => {
  const next = random(SEED);
  const forks = new FakeForks();
  const fork = (): Child => {
    const forked = forks.start({
      role: 'worker', slot: 0, standby: false, entry: null, dir: process.cwd(), generation: 1, env: {}, execArgv: [],
    });
    const boot = { role: 'worker', id: 1, slot: 0, generation: 1, baseDir: '/', entry: { kind: 'none' } } as BootInfo;
    const child = new Child(forked, boot, { ready: () => {}, leaving: () => {}, onlyStreams: () => {} }, 1e6, new Faults(() => {}));
    child.channel.on('health.sample', (sample) => { assert.ok(Number.isFinite(sample.at)); }, isSample);
    child.channel.on('health.blocking', () => {}, isBlockingCall);
    return child;
  };
  let cut = 0;
  for (let count = 0; count < FRAMES;) {
    const child = fork();
    const pipe = child.process.stdio[CHANNEL_FD] as NodeJS.EventEmitter;
    // A length that was damaged swallows what comes behind it, so no process lives for ever.
    for (const last = count + LIFE; count < last && child.causeOfDeath !== 'cutOff'; count++) {
      const bytes = mutatedFrame(next);
      const split = Math.floor(next() * (bytes.length + 1));
      for (const piece of [bytes.subarray(0, split), bytes.subarray(split)]) pipe.emit('data', piece);
      assert.ok(child.addresses.every(({ port }) => port === undefined || Number.isInteger(port)));
    }
    if (child.causeOfDeath === 'cutOff') {
      cut++;
      const before = JSON.stringify([child.state, child.addresses, child.waiting]);
      for (let more = 0; more < 3; more++) pipe.emit('data', mutatedFrame(next, 0));
      assert.equal(JSON.stringify([child.state, child.addresses, child.waiting]), before, 'it is heard after it was cut off');
    }
    forks.last.exits(null, 'SIGKILL');
    forks.all.length = 0;
    if (count % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  t.diagnostic(`${cut} were cut off`);
  assert.ok(cut > FRAMES / 100, `${cut} were cut off`);
});

test(`${FRAMES} mutated lines: each is passed on, left alone or refused (TEST_SEED=${SEED})`, (t) => {
  const next = random(SEED);
  const verdicts: Record<string, number> = {};
  let messages = new NodeMessages(() => false);
  for (let count = 0; count < FRAMES; count++) {
    const line = mutatedLine(next, 0).toString();
    if (line === '\n') continue;
    const verdict = messages.admit(JSON.parse(line), undefined);
    const kind = typeof verdict === 'boolean' ? String(verdict) : typeof verdict;
    verdicts[kind] = (verdicts[kind] ?? 0) + 1;
    if (kind === 'string') messages = new NodeMessages(() => false);
  }
  t.diagnostic(JSON.stringify(verdicts));
  for (const kind of ['true', 'false', 'string', 'object']) assert.ok(verdicts[kind], kind);
});
