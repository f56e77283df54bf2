import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import test from 'node:test';
import { pack, preamble } from '../../lib/messenger/bus-frames.js';
import { Network, TOKEN, type Station } from '../helpers/bus.js';
import { random } from '../soak/faults.js';

/** How many frames are tried; 100,000 for a figure. */
const FRAMES = Number(process.env.TEST_FRAMES ?? 3_000);

const hello = preamble(TOKEN, { pid: 4711, slot: 3 });
const good = pack(['note', { list: [1, 2, 3], map: new Map([[1, new Date()]]), error: new Error('x') }, 'id', 0, 'agent', 0]);

/** Says that on a connection of its own. Resolves with what came back, once it is cut; one that stays is ended after `patience` ms. */
function says(file: string, bytes: Buffer, patience = 150): Promise<{ back: number; cut: boolean }> {
  return new Promise((resolve) => {
    const socket: Socket = connect(file);
    let back = 0;
    let cut = true;
    const timer = setTimeout(() => {
      cut = false;
      socket.destroy();
    }, patience);
    socket.on('data', (chunk: Buffer) => { back += chunk.length; }).on('error', () => {});
    socket.once('close', () => {
      clearTimeout(timer);
      resolve({ back, cut });
    });
    socket.write(bytes);
  });
}

async function agent(t: test.TestContext): Promise<{ agent: Station; one: Station; file: string; network: Network }> {
  const network = new Network(t);
  const [agent, one] = await network.up(-1, 0) as [Station, Station];
  return { agent, one, file: network.file(agent), network };
}

test('whoever has not the token is not heard, nor answered', async (t) => {
  const { agent: station, file } = await agent(t);
  const wrong = Buffer.from(hello);
  wrong[30]! ^= 1;
  const cases = {
    'a wrong token': Buffer.concat([wrong, good]), none: good, HTTP: Buffer.from('GET / HTTP/1.1\r\n\r\n'), zeros: Buffer.alloc(100),
  };
  for (const [what, bytes] of Object.entries(cases)) assert.deepEqual(await says(file, bytes, 2_000), { back: 0, cut: true }, what);
  assert.deepEqual(station.got, []);
  assert.match(station.lines.join('\n'), /^connections to the bus are dropped: it has not its token$/m);
  assert.ok(station.lines.length <= 4, 'a line for what stays the same');
});

test('a part of the preamble is waited for, a byte at a time too', async (t) => {
  const { agent: station, file } = await agent(t);
  const socket = connect(file);
  for (const byte of Buffer.concat([hello, good])) {
    socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const [envelope] = await station.hears(1);
  assert.deepEqual([envelope!.senderPid, envelope!.from, envelope!.action], [4711, 'app', 'note']);
  socket.destroy();
});

for (const [what, bytes] of Object.entries({
  'no MessagePack': Buffer.concat([Buffer.from([0, 0, 0, 3]), Buffer.from([0xc1, 0xc1, 0xc1])]),
  'no list': pack({ a: 1 } as never),
  'no envelope': pack([5, 'x']),
  'a request without a number': pack(['a', 1, 'id', 'x', 0, 0]),
  'more than a message may have': Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0xff]), Buffer.alloc(1_000)]),
})) {
  test(`${what}: its sender is cut off with a reason, and nobody else`, async (t) => {
    const { agent: station, one, file } = await agent(t);
    assert.deepEqual(await says(file, Buffer.concat([hello, bytes]), 2_000), { back: 0, cut: true });
    assert.match(station.lines.join(), /^messages of pid 4711, whose connection was cut off, are dropped: it sends what is no message: ./);
    one.bus.send({ action: 'still', to: 'agent' });
    while (!station.got.some(({ action }) => action === 'still')) await station.hears(station.got.length + 1);
  });
}

test(`${FRAMES} frames that are changed, cut short or too long end nobody, and memory stays`, async (t) => {
  const { agent: station, one, file } = await agent(t);
  const next = random(5);
  const before = process.memoryUsage().rss;
  let cut = 0;
  for (let count = 0; count < FRAMES;) {
    const frames: Buffer[] = [];
    for (let i = 0; i < 20; i++, count++) {
      const frame = Buffer.from(good);
      for (let change = 0; change < 1 + next() * 4; change++) frame[4 + Math.floor(next() * (frame.length - 4))] = Math.floor(next() * 256);
      if (next() < 0.1) frame.writeUInt32BE(Math.floor(next() * 2 ** 32), 0);
      frames.push(next() < 0.1 ? frame.subarray(0, Math.floor(next() * frame.length)) : frame);
    }
    if ((await says(file, Buffer.concat([hello, ...frames]), 10)).cut) cut++;
    station.got.length = 0;
  }
  t.diagnostic(`${cut} of ${FRAMES / 20} connections were cut off`);
  assert.ok(cut > FRAMES / 20 / 4);
  assert.ok(process.memoryUsage().rss - before < 200 * 2 ** 20, `${(process.memoryUsage().rss - before) / 2 ** 20} MiB`);
  one.bus.send({ action: 'still', to: 'agent' });
  while (!station.got.some(({ action }) => action === 'still')) await station.hears(station.got.length + 1);
});

test('answers that are none: the connection is given up, and whoever waits is told', async (t) => {
  const network = new Network(t);
  const [one] = await network.up(0) as [Station];
  const liar = network.fork(-1);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.write(pack(['no number'])));
  });
  await new Promise<void>((resolve) => { server.listen(network.file(liar), resolve); });
  t.after(() => server.close());
  liar.member.listens = true;
  network.tell();
  one.bus.send({ action: 'ask', to: 'agent', request: 1 });
  const [answer] = await one.hears(1);
  assert.deepEqual([answer!.reply, answer!.error?.code], [1, 'ERR_CLUSTER_CHANNEL_CLOSED']);
});
