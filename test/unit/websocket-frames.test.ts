import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import test from 'node:test';
import type { Duplex } from 'node:stream';
import { closeFrame, endsWithClose, Frames } from '../../plugins/graceful-exit/frames.js';
import { WebSocketEnd } from '../../plugins/graceful-exit/web-socket.js';

const HEAD = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n');

function frame(length: number, { opcode = 1, fin = true } = {}): Buffer {
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | opcode;
  head[1] = head.length === 2 ? length : head.length === 4 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, Buffer.alloc(length, 0x81)]);
}

/** What an app sends, and what reaches the socket. */
function sender(answered = true) {
  const sent: Buffer[] = [];
  const socket = Object.assign(new EventEmitter(), {
    writableEnded: false,
    write(chunk: Buffer | string) { return sent.push(Buffer.from(chunk as string)) > 0; },
    end(): unknown {
      socket.writableEnded = true;
      return socket;
    },
  });
  const end = new WebSocketEnd(socket as unknown as Duplex, '/', answered);
  return { socket, end, sent: () => Buffer.concat(sent) };
}

test('where messages are whole is known at each byte, however they are cut into writes', () => {
  const messages = [frame(0), frame(1), frame(125), frame(126), frame(65_535), frame(65_536), frame(3, { opcode: 9 })];
  const ends = new Set([HEAD.length]);
  let at = HEAD.length;
  for (const message of messages) ends.add(at += message.length);
  const all = Buffer.concat([HEAD, ...messages]);
  for (const step of [1, 2, 3, 7, 1_000, 70_000]) {
    const frames = new Frames(false);
    for (let from = 0; from < all.length; from += step) {
      frames.read(all.subarray(from, from + step));
      assert.equal(frames.whole, ends.has(Math.min(from + step, all.length)), `${step}: ${from + step}`);
    }
  }
});

test('a message in several frames is whole with its last one; a ping between them does not end it', () => {
  const frames = new Frames(true);
  for (const [bytes, whole] of [
    [frame(5, { fin: false }), false], [frame(2, { opcode: 9 }), false], [frame(5, { opcode: 0, fin: false }), false],
    [frame(5, { opcode: 0 }), true],
  ] as const) {
    frames.read(bytes);
    assert.equal(frames.whole, whole);
  }
});

test('a refused handshake, and what has frames that do not exist, is no WebSocket; an interim answer is none yet', () => {
  const refused = new Frames(false);
  refused.read(Buffer.from('HTTP/1.1 401 Unauthorized\r\n\r\n'));
  assert.equal(refused.other, true);
  const unknown = new Frames(true);
  unknown.read(Buffer.from([0x85, 1, 0]));
  assert.equal(unknown.other, true);
  const early = new Frames(false);
  early.read(Buffer.concat([Buffer.from('HTTP/1.1 103 Early Hints\r\n\r\n'), HEAD]));
  assert.deepEqual([early.other, early.whole], [false, true]);
});

test('between two messages the goodbye goes out at once, and nothing after it', () => {
  const { socket, end, sent } = sender();
  socket.write(frame(10));
  assert.equal(end.goodbye(1012, 5), true);
  assert.notEqual(end.toldAt, null);
  let called = 0;
  const write = socket.write as (chunk: Buffer, done: () => void) => boolean;
  assert.equal(write(frame(20), () => { called++; }), true);
  socket.end();
  assert.deepEqual(sent(), Buffer.concat([frame(10), closeFrame(1012)]));
  return new Promise<void>((resolve) => setImmediate(() => {
    assert.equal(called, 1);
    resolve();
  }));
});

test('within a message it waits for its end, which may be in the middle of a write, of text as well', () => {
  const { socket, end, sent } = sender();
  const message = frame(300);
  socket.write(message.subarray(0, 100));
  assert.equal(end.goodbye(1012, 5), true);
  assert.equal(end.goodbye(1012, 6), false, 'it is asked once');
  socket.write(message.subarray(100, 200));
  assert.equal(end.toldAt, null);
  socket.write(Buffer.concat([message.subarray(200), frame(7)]));
  assert.notEqual(end.toldAt, null);
  assert.deepEqual(sent(), Buffer.concat([message, closeFrame(1012)]));
  const text = sender();
  text.socket.write(Buffer.from([0x81, 4]));
  text.end.goodbye(1001, 5);
  text.socket.write('\u00e4\u00f6');
  assert.deepEqual(text.sent(), Buffer.concat([Buffer.from([0x81, 4]), Buffer.from('\u00e4\u00f6'), closeFrame(1001)]));
});

test('before the handshake is answered it waits for that; an app that has closed is left alone', () => {
  const { socket, end, sent } = sender(false);
  end.goodbye(1012, 5);
  assert.equal(sent().length, 0);
  socket.write(HEAD);
  assert.deepEqual(sent(), Buffer.concat([HEAD, closeFrame(1012)]));
  const own = sender();
  own.socket.write(closeFrame(4_000));
  assert.equal(own.end.goodbye(1012, 5), false);
  assert.deepEqual([own.end.toldAt, own.sent()], [5, closeFrame(4_000)]);
});

test('the client\'s answer is known by its code behind whatever mask', () => {
  const answer = (code: number, mask: number[]) =>
    Buffer.from([0x88, 0x82, ...mask, (code >> 8) ^ mask[0]!, (code & 0xff) ^ mask[1]!]);
  const mask = [1, 2, 3, 4];
  assert.equal(endsWithClose(answer(1012, mask), 1012), true);
  assert.equal(endsWithClose(Buffer.concat([frame(50), answer(1012, mask)]), 1012), true);
  assert.equal(endsWithClose(Buffer.concat([frame(50), answer(1000, mask)]), 1012), false);
  assert.equal(endsWithClose(Buffer.from([0x88, 0x80, ...mask]), 1012), true);
  assert.equal(endsWithClose(frame(50), 1012), false);
});
