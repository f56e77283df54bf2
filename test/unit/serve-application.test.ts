import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, Application } from '../../lib/child/application.js';

class Site extends Application {
  override callback() {
    return () => {};
  }
}
const options = { baseDir: '/nowhere' };

test('steps run in order, each awaited, those of a subclass constructor too; then it is ready', async () => {
  const order: number[] = [];
  class Slow extends Site {
    constructor() {
      super(options);
      this.beforeStart(async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        order.push(1);
      });
      this.beforeStart(() => { order.push(2); });
    }
  }
  const app = new Slow();
  assert.deepEqual(order, []);
  await app.ready();
  assert.deepEqual(order, [1, 2]);
  assert.throws(() => app.beforeStart(() => {}), /after the start/);
  await new Promise<void>((resolve) => app.ready((error) => {
    assert.equal(error, undefined);
    resolve();
  }));
});

test('a step that fails fails the start, for callbacks and for the promise', async () => {
  const app = new Site(options);
  app.beforeStart(() => { throw new Error('no disk'); });
  app.beforeStart(() => assert.fail('not reached'));
  const [error] = await new Promise<[Error?]>((resolve) => app.ready((...args) => resolve(args)));
  assert.equal(error?.message, 'no disk');
  await assert.rejects(app.ready(), /no disk/);
});

test('close runs once, last added first, and goes on after an error', async () => {
  const order: number[] = [];
  const agent = new Agent(options);
  agent.beforeClose(() => { order.push(1); });
  agent.beforeClose(() => {
    order.push(2);
    throw new Error('stuck');
  });
  agent.on('close', () => order.push(0));
  await assert.rejects(agent.close(), /stuck/);
  await assert.rejects(agent.close(), /stuck/);
  assert.deepEqual(order, [2, 1, 0]);
});
