import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { node, run } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';

/** A request on a connection that the other side closes just then is answered by nobody, and a POST must not be sent again. */
test('nginx as proxy-config has it lets an idle connection go before Node does', async (t) => {
  const app = ownApp(t, {
    '.clusterrc': { plugins: { 'sticky-session': { perSlotSocket: true } } },
    'server.js': 'require("http").createServer((q, s) => s.end()).listen(process.env.PORT);',
  });
  const { code, stdout, stderr } = await run(['proxy-config', 'nginx', app.dir]);
  assert.equal(code, 0, stderr);
  const [, seconds] = /^ +keepalive_timeout (\d+)s;$/m.exec(stdout) ?? [];
  const keeps = Number(execFileSync(node, ['-p', 'require("http").createServer().keepAliveTimeout'], { encoding: 'utf8' }));
  assert.ok(Number(seconds) * 1_000 <= keeps - 500, `nginx ${seconds} s, Node ${keeps} ms\n${stdout}`);
});
