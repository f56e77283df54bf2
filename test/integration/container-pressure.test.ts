import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noControlGroups, startInGroups } from '../helpers/control-groups.js';
import { Load } from '../helpers/load.js';
import { withConfig } from '../helpers/with-config.js';

test('a leak in a container with 200 MB: a worker is recycled before the kernel kills one, no request lost', {
  skip: noControlGroups(),
}, async (t) => {
  const config = withConfig(t, { workers: 2 });
  const { cluster, groups } = await startInGroups(t, { megabytes: 200 }, 'health-app', {
    flags: ['--config', config], env: { LEAK: String(2 ** 19) },
  });
  const load = new Load({ perConnection: 1, keepAlive: 1 }, { http: { port: cluster.port }, pause: 20 });
  t.after(() => load.stop());
  await cluster.waitFor(/INFO .*worker#\d \(pid \d+\) was recycled: of the container's workers it had the most memory/, 30_000);
  await load.stop();
  t.diagnostic(`${load.answered} answers, peak ${Math.round(groups.peak)} MB`);
  assert.equal(load.lost, 0, `${load.report()}\n${cluster.output}`);
  assert.equal(groups.oomKills, 0);
  assert.match(cluster.output, /WARN \d+ \[master\] memory: 1\d\d MB of the 200 MB that this container may have are in use/);
  assert.equal((await cluster.stop()).code, 0);
});
