import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, run } from '../helpers/cluster.js';
import { withConfig } from '../helpers/with-config.js';

test('framework systemd prints a unit with the app\'s own flags and time-outs', async (t) => {
  const config = withConfig(t, { plugins: { 'graceful-exit': { timeout: 60_000, shutdownDelay: 4_000 } } });
  const { code, stdout } = await run(['systemd', fixture('hello'), '--port', '8080', '--user', 'www', '--config', config]);
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`^ExecStart=\\S+ \\S+framework\\.js start ${fixture('hello')} --port 8080 --config ${config}$`, 'm'));
  for (const line of [
    'Type=notify', 'NotifyAccess=all', 'User=www', 'KillMode=mixed', 'WatchdogSec=30', 'RestartPreventExitStatus=2', 'TimeoutStopSec=74',
  ]) {
    assert.ok(stdout.split('\n').includes(line), `${line} in\n${stdout}`);
  }
});

test('framework systemd --socket prints the socket unit', async () => {
  const { code, stdout } = await run(['systemd', fixture('hello'), '--port', '8080', '--host', '::1', '--socket']);
  assert.equal(code, 0);
  assert.match(stdout, /^ListenStream=\[::1\]:8080$/m);
});
