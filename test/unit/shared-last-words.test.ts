import assert from 'node:assert/strict';
import test from 'node:test';
import { LastWords } from '../../plugins/shared-clients/published.js';
import { FakeProcesses } from '../helpers/shared-processes.js';

const MIB = 1024 * 1024;
const word = (key: string, value: unknown, at = 1) => ({ key, at, args: [key, value], again: false });

test('of what is published last 64 MiB are kept, the latest of it', () => {
  let forgotten = 0;
  const words = new LastWords(() => { forgotten++; });
  const big = 'x'.repeat(15 * MIB);
  for (const key of ['a', 'b', 'c', 'd']) words.keep(word(key, big));
  assert.equal(forgotten, 0);
  words.keep(word('e', big));
  assert.deepEqual(words.all().map(({ key }) => key), ['b', 'c', 'd', 'e']);
  // The same key again is no more, and the latest.
  words.keep(word('b', big));
  words.keep(word('f', 1));
  assert.deepEqual(words.all().map(({ key }) => key), ['c', 'd', 'e', 'b', 'f']);
  words.keep(word('g', big));
  assert.deepEqual(words.all().map(({ key }) => key), ['d', 'e', 'b', 'f', 'g']);
  assert.equal(forgotten, 1);
});

test('what is taken back counts no more, and the word before it does again', () => {
  const words = new LastWords();
  const before = word('a', 1);
  words.keep(before);
  for (let at = 2; at < 20; at++) {
    const never = word('a', 'x'.repeat(15 * MIB), at);
    words.keep(never);
    words.takeBack(never, before);
  }
  assert.equal(words.get('a'), before);
  for (const key of ['b', 'c', 'd', 'e']) words.keep(word(key, 'x'.repeat(15 * MIB)));
  assert.equal(words.all().length, 5);
});

class Board {
  publish() {}
  subscribe() {}
  unsubscribe() {}
}

test('that not all is kept is said once', async () => {
  const world = new FakeProcesses();
  const agent = world.agent();
  const board = await agent.clients.share(Board) as { publish(key: string, value: string): Promise<unknown> };
  for (let key = 0; key < 7; key++) await board.publish(`k${key}`, 'x'.repeat(15 * MIB));
  assert.equal(agent.warnings.length, 1);
  assert.match(agent.warnings[0]!, /"Board" has published more here than is kept/);
});
