import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeOrders } from '../../plugins/systemd/environment.js';

test('the orders are taken out of the environment', () => {
  const env = {
    NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7', LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'http:admin',
    HOME: '/root',
  };
  assert.deepEqual(takeOrders(env, 7),
    { notifySocket: '/run/n', watchdog: 30_000, sockets: [{ fd: 3, name: 'http' }, { fd: 4, name: 'admin' }] });
  assert.deepEqual(env, { HOME: '/root' });
});

test('orders for another process are not ours', () => {
  assert.deepEqual(takeOrders({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8', LISTEN_PID: '8', LISTEN_FDS: '2' }, 7),
    { notifySocket: null, watchdog: null, sockets: [] });
  assert.deepEqual(takeOrders({ LISTEN_FDS: '2' }, 7).sockets, [], 'nobody is named');
  assert.equal(takeOrders({ WATCHDOG_USEC: 'soon' }, 7).watchdog, null);
});
