import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../helpers/eventually.js';
import { FencedStore, noRedis, startHost, TestRedis } from '../helpers/hosts.js';
import { Load } from '../helpers/load.js';
import { NetworkHost, noNamespaces } from '../helpers/namespaces.js';

/** Of a lease, ms. */
const TTL = 1_500;

test('hosts with networks of their own: one whose cable is pulled leads no more, and hears and tells all once it is back', {
  skip: noRedis || noNamespaces,
}, async (t) => {
  const redis = await TestRedis.start(t, { bind: '0.0.0.0' });
  const store = await FencedStore.open(t);
  const hosts = await Promise.all(['a', 'b'].map(async (name) => {
    const network = new NetworkHost(t);
    const host = await startHost(t, {
      name, url: `redis://${network.here}:${redis.port}`, ttl: TTL, within: network.within, address: network.address,
      env: { LEAD: 'job', STORE: store.socket },
    });
    return { network, host };
  }));
  const loads = hosts.map(({ network: { address: host }, host: { cluster: { port } } }) =>
    new Load({ keepAlive: 2, perConnection: 2 }, { http: { host, port }, pause: 5 }, t));
  const leader = async () => {
    const { length } = store.all;
    await eventually(() => store.all.length > length, 20_000);
    const { pid, token } = store.all.at(-1)!;
    return { token, at: hosts.findIndex(({ host }) => host.cluster.processes().some((one) => one.pid === pid)) };
  };

  for (const round of [0, 1]) {
    const { token, at } = await leader();
    const [cut, other] = [hosts[at]!, hosts[1 - at]!];
    cut.network.pull();
    await eventually(() => store.all.at(-1)!.token > token, 20_000);
    assert.equal((await leader()).at, 1 - at);
    store.assertOneAtATime();
    // Both speak while they are apart.
    for (let n = 0; n < 20; n++) {
      await cut.host.on(0, 'tell', `from the one that is cut off ${round} ${n}`);
      await other.host.on(0, 'tell', `from the other one ${round} ${n}`);
    }
    cut.network.plug();
    for (const [listener, who] of [[cut, 'the other one'], [other, 'the one that is cut off']] as const) {
      const expected = Array.from({ length: 20 }, (_, n) => `from ${who} ${round} ${n}`);
      const heard = async () => (await listener.host.heard(1)).map(({ data }) => String(data)).filter((text) => expected.includes(text));
      await eventually(async () => (await heard()).length >= 20, 30_000);
      assert.deepEqual(await heard(), expected);
    }
  }
  for (const load of loads) {
    await load.stop();
    assert.ok(load.answered > 100);
    assert.equal(load.lost, 0, load.report());
  }
});
