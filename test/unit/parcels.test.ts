import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import test from 'node:test';
import { Parcels, type OnFull, type Parcel } from '../../lib/messenger/parcels.js';

/** A socket that takes what is written when it is told to. */
class FakeSocket {
  readonly written: string[] = [];
  readonly #done: (() => void)[] = [];

  write(data: Buffer, done: () => void): boolean {
    this.written.push(data.toString());
    this.#done.push(done);
    return true;
  }

  take(): void {
    this.#done.shift()?.();
  }
}

function outbox(onFull: OnFull, limit = 10) {
  const dropped: string[] = [];
  const parcels = new Parcels({ outbox: limit, onFull }, ({ frame }) => dropped.push(frame.toString()));
  const socket = new FakeSocket();
  const parcel = (text: string, request?: number): Parcel => ({ frame: Buffer.from(text), request });
  return { parcels, dropped, socket, parcel, attach: () => parcels.attach(socket as unknown as Socket) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what one turn sends leaves in one write, and what comes during it in the next', async () => {
  const { parcels, socket, parcel, attach } = outbox('wait', 1_000);
  attach();
  parcels.push(parcel('a'));
  parcels.push(parcel('b'));
  assert.deepEqual(socket.written, []);
  await turn();
  parcels.push(parcel('c'));
  parcels.push(parcel('d'));
  await turn();
  assert.deepEqual(socket.written, ['ab']);
  socket.take();
  assert.deepEqual(socket.written, ['ab', 'cd']);
  assert.equal(parcels.size, 2);
});

test('what is kept before there is a socket leaves first', async () => {
  const { parcels, socket, parcel, attach } = outbox('wait', 1_000);
  parcels.push(parcel('a'));
  attach();
  parcels.push(parcel('b'));
  await turn();
  socket.take();
  await turn();
  assert.deepEqual(socket.written, ['a', 'b']);
});

test('wait: false says that it is full, twice as much is kept, the rest is dropped, and room comes at the half', async () => {
  const { parcels, dropped, socket, parcel, attach } = outbox('wait');
  attach();
  assert.equal(parcels.push(parcel('123456789')), true);
  assert.equal(parcels.push(parcel('abcdefgh')), false);
  assert.equal(parcels.push(parcel('too much')), false);
  assert.deepEqual(dropped, ['too much']);
  assert.throws(() => parcels.push(parcel('a request', 1)), { code: 'ERR_CLUSTER_NOT_READING' });
  let roomy = false;
  void parcels.room().then(() => { roomy = true; });
  await turn();
  assert.equal(roomy, false);
  socket.take();
  await turn();
  assert.deepEqual([roomy, parcels.size], [true, 0]);
});

test('drop-oldest: the newest are kept, and what is being written', async () => {
  const { parcels, dropped, socket, parcel, attach } = outbox('drop-oldest');
  attach();
  parcels.push(parcel('1111'));
  await turn();
  for (const text of ['2222', '3333', '4444', '5']) parcels.push(parcel(text));
  assert.deepEqual([dropped, parcels.size], [['2222', '3333'], 9]);
  socket.take();
  socket.take();
  assert.deepEqual(socket.written, ['1111', '44445']);
});

test('error: what sends throws, and what is there stays', () => {
  const { parcels, parcel } = outbox('error');
  parcels.push(parcel('12345678'));
  assert.throws(() => parcels.push(parcel('12345678')), { code: 'ERR_CLUSTER_NOT_READING' });
  assert.equal(parcels.size, 8);
});

for (const policy of ['wait', 'drop-oldest', 'error'] as const) {
  test(`${policy}: one that is longer than the whole outbox goes alone; answers always go`, () => {
    const { parcels, parcel } = outbox(policy);
    parcels.push(parcel('x'.repeat(50)));
    assert.equal(parcels.size, 50);
    parcels.push(parcel('an answer'), true);
    assert.equal(parcels.size, 59);
  });
}

test('what has not left is given back when there is nobody to take it', async () => {
  const { parcels, socket, parcel, attach } = outbox('wait', 1_000);
  attach();
  parcels.push(parcel('gone', 1));
  await turn();
  parcels.push(parcel('kept', 2));
  parcels.detach();
  assert.deepEqual(parcels.requests(), [2]);
  assert.deepEqual(parcels.takeAll().map(({ frame }) => frame.toString()), ['kept']);
  socket.take();
  assert.equal(parcels.size, 0);
});
