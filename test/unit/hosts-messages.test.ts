import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClusterError } from '../../lib/kit/errors.js';
import type { Envelope } from '../../lib/runtime.js';
import type { Read } from '../../plugins/hosts/link.js';
import { packLetter, unpackLetter } from '../../plugins/hosts/packing.js';
import { Receiving } from '../../plugins/hosts/receiving.js';
import { atOnce, isBefore, Recent } from '../../plugins/hosts/recent.js';
import { Sending } from '../../plugins/hosts/sending.js';
import { until } from '../helpers/shared-processes.js';

const letter = (n: number, id = `id${n}`): string => packLetter({ action: 'news', data: n, id, from: 'app', host: 'a' });
const away = () => Promise.reject(new ClusterError('ERR_CLUSTER_HOSTS', 'Redis cannot be reached: gone'));

/** What takes messages, or fails as the test says. */
function sender(fail: (batch: number) => Promise<void> | null = () => null) {
  const batches: unknown[][] = [];
  const warnings: string[] = [];
  let calls = 0;
  const sending = new Sending({
    host: 'a', group: 'app', logger: { warn: (text) => warnings.push(text) },
    client: Promise.resolve({
      async send(batch) {
        const failure = fail(calls++);
        if (failure) await failure;
        batches.push(batch.map((text) => unpackLetter(text).data));
      },
    }),
  });
  const say = (data: unknown) => sending.carry({ action: 'news', data, id: `id${String(data)}` });
  return { sending, batches, warnings, say };
}

test('what is said goes in its order, and much at once', async () => {
  const { batches, say } = sender();
  for (let n = 0; n < 600; n++) say(n);
  await until(() => batches.flat().length === 600, 'all are sent');
  assert.deepEqual(batches.flat(), Array.from({ length: 600 }, (_, n) => n));
  assert.deepEqual(batches.map(({ length }) => length), [250, 250, 100]);
});

test('while Redis is away it waits, and goes in its order once that is there again', async () => {
  let isAway = true;
  const { sending, batches, say } = sender(() => isAway ? away() : null);
  say(1);
  await until(() => true, 'a turn');
  say(2);
  isAway = false;
  sending.up();
  await until(() => batches.flat().length === 2, 'both are sent', 2_000);
  assert.deepEqual(batches.flat(), [1, 2]);
});

test('beyond a thousand the oldest go, which is told, and who sends is asked to wait before', async () => {
  let isAway = true;
  const { sending, batches, warnings, say } = sender(() => isAway ? away() : null);
  const answers = Array.from({ length: 1_500 }, (_, n) => say(n));
  assert.deepEqual([answers[0], answers[1_499]], [true, false]);
  isAway = false;
  await until(() => { sending.up(); return batches.flat().length === 1_000; }, 'the rest is sent');
  assert.deepEqual([batches.flat()[0], batches.flat()[999]], [500, 1_499]);
  await until(() => warnings.length === 1, 'it is told');
  assert.match(warnings[0]!, /dropped.*: 500$/);
});

test('what Redis itself refuses is dropped with its word, and the rest goes on', async () => {
  const { batches, warnings, say } = sender((call) => call === 0 ? Promise.reject(new Error('OOM command not allowed')) : null);
  say(1);
  await until(() => warnings.length > 0, 'it is told');
  assert.match(warnings[0]!, /OOM command not allowed/);
  say(2);
  await until(() => batches.flat().length === 1, 'the next one is sent');
  assert.deepEqual(batches.flat(), [2]);
});

test('a process that closes waits for Redis a second at most', async () => {
  const { sending, warnings, say } = sender(() => away());
  say(1);
  const began = performance.now();
  await sending.close();
  assert.ok(performance.now() - began < 1_500);
  assert.ok(warnings.length > 0);
});

test('one that hangs does not keep a process from closing', async () => {
  const { sending, say } = sender(() => new Promise(() => {}));
  say(1);
  const began = performance.now();
  await sending.close();
  assert.ok(performance.now() - began < 3_000);
});

test('a message that is too long, or cannot be sent, is refused where it is said', () => {
  const { say } = sender();
  assert.throws(() => say('x'.repeat(300_000)), { code: 'ERR_CLUSTER_MESSAGE_TOO_LONG' });
  assert.throws(() => say(() => {}), { code: 'ERR_CLUSTER_NOT_CLONEABLE' });
});

test('Map, Buffer, BigInt, circles and errors with their cause arrive as they are', () => {
  const data: Record<string, unknown> = { map: new Map([[1, new Set([2n])]]), bytes: Buffer.from('abc'), at: new Date(7) };
  data.self = data;
  data.error = Object.assign(new TypeError('wrong', { cause: new RangeError('far') }), { field: 1 });
  const back = unpackLetter(packLetter({ action: 'x', data, id: 'i', meta: { trace: 1 }, from: 'agent', host: 'a' }));
  const { map, bytes, at, self, error } = back.data as typeof data;
  assert.deepEqual([map, bytes, at, self === back.data], [data.map, data.bytes, data.at, true]);
  assert.ok(error instanceof TypeError && error.cause instanceof RangeError);
  assert.deepEqual([back.meta, back.from, back.host, (error as { field?: number }).field], [{ trace: 1 }, 'agent', 'a', 1]);
});

/** A process that is told of messages; `pages` are what each reading gives. */
function receiver(read: (after: string | null, age: number) => Promise<Read>) {
  const heard: Envelope[] = [];
  const asked: (string | null)[] = [];
  const receiving = new Receiving({
    deliver: (envelope) => heard.push(envelope), logger: { debug: () => {} },
    client: Promise.resolve({ read: (after, age) => { asked.push(after); return read(after, age); } }),
  });
  return { receiving, heard, asked };
}

const stream = (...places: string[]) => async (after: string | null): Promise<Read> => {
  const next = places.find((place) => after === null || isBefore(after, place)) ?? after!;
  return { next, messages: after === next ? [] : [letter(Number(next.split('-')[0]))] };
};

test('a process reads from its own place to the end that it is told of, and says where a message comes from', async () => {
  const { receiving, heard, asked } = receiver(stream('1-0', '2-0', '3-0'));
  receiving.head('3-0');
  await until(() => heard.length === 3, 'all are heard');
  assert.deepEqual(heard.map(({ data, id, from, meta }) => ({ data, id, from, meta })),
    [1, 2, 3].map((n) => ({ data: n, id: `id${n}`, from: 'app', meta: { host: 'a' } })));
  assert.deepEqual(asked, [null, '1-0', '2-0']);
});

test('an end that is told twice, or by another reader, brings nothing twice', async () => {
  const { receiving, heard } = receiver(stream('1-0', '2-0'));
  receiving.head('1-0');
  receiving.head('2-0');
  receiving.head('2-0');
  await until(() => heard.length === 2, 'both are heard');
  // One that looked a moment earlier: the place goes back, and ids are known.
  receiving.head('1-0');
  receiving.head('2-0');
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  assert.deepEqual(heard.map(({ data }) => data), [1, 2]);
});

test('a message that was sent twice, as the first answer was lost, is heard once', async () => {
  const pages = [[letter(1), letter(2)], [letter(2), letter(3)]];
  const { receiving, heard } = receiver(async (after) => after === null ? { next: '1-0', messages: pages[0]! }
    : { next: '2-0', messages: pages[1]! });
  receiving.head('2-0');
  await until(() => heard.length === 3, 'all are heard');
  assert.deepEqual(heard.map(({ data }) => data), [1, 2, 3]);
});

test('a reading that fails is tried again', async () => {
  let fails = true;
  const { receiving, heard } = receiver(async (after) => {
    if (fails) {
      fails = false;
      throw new Error('the leader is lost');
    }
    return stream('1-0')(after);
  });
  receiving.head('1-0');
  await until(() => heard.length === 1, 'it is heard');
});

test('what is no message is passed over', async () => {
  const messages = ['////', Buffer.from([0xc1]).toString('base64'), letter(1)];
  const { receiving, heard } = receiver(async () => ({ next: '1-0', messages }));
  receiving.head('1-0');
  await until(() => heard.length === 1, 'the one that is a message');
});

test('places are compared by their numbers', () => {
  assert.ok(isBefore('9-0', '10-0'));
  assert.ok(isBefore('10-9', '10-10'));
  assert.ok(!isBefore('10-1', '10-1'));
  assert.ok(!isBefore('11-0', '10-5'));
});

test('what was read last is there for all who want it; what is older is not, and is said not to be', () => {
  const recent = new Recent('5-0');
  for (let n = 6; n < 6 + 1_100; n++) recent.add({ at: `${n}-0`, from: 'a', message: 'm' });
  assert.equal(recent.after('5-0'), null);
  assert.equal(recent.after('104-0'), null);
  assert.equal(recent.after('105-0')?.[0]?.at, '106-0');
  assert.equal(recent.after('105-0')?.length, 250);
  assert.deepEqual(recent.after('1105-0'), []);
});

test('one answer has no more than a mebibyte, and one message at least', () => {
  const big = (at: number, length: number) => ({ at: `${at}-0`, from: 'a', message: 'x'.repeat(length) });
  assert.equal(atOnce([big(1, 2 * 1024 * 1024), big(2, 1)]).length, 1);
  assert.equal(atOnce([big(1, 600_000), big(2, 600_000), big(3, 1)]).length, 1);
  assert.equal(atOnce([big(1, 500_000), big(2, 500_000), big(3, 1)]).length, 3);
});
