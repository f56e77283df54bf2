import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

interface Logged {
  message: string; stack?: { name: string; file: string; line: number }[]; requests?: { method: string; path: string; age: number }[];
  children?: string[]; state?: string;
}

for (const { path, name, what } of [
  { path: '/regex', name: 'backtrack', what: 'a catastrophic regular expression' },
  { path: '/exec', name: 'waitForShell', what: 'a synchronous call that waits for a process' },
]) {
  test(`the stack of ${what}, as fields of a JSON line`, async (t) => {
    const config = withConfig(t, { workers: 2, log: { format: 'json' }, plugins: { 'health-check': { hangTimeout: 800 } } });
    const cluster = await startCluster(t, 'health-app', { flags: ['--config', config], ready: false });
    await cluster.waitFor(/health-app started|started on/);
    get(`${cluster.url}${path}`).catch(() => {});
    const [line] = await cluster.waitFor(/.*is unresponsive.*\n/, 12_000);
    const logged = JSON.parse(line) as Logged;
    const frame = logged.stack?.find((one) => one.name === name);
    assert.ok(frame, line);
    assert.ok(frame.file.endsWith('fixtures/health-app/app.js'), line);
    assert.ok(frame.line > 1, line);
    const [request] = logged.requests ?? [];
    assert.equal(request?.path, path);
    assert.ok(request && request.age >= 700, line);
    if (path === '/exec') assert.ok(logged.children?.some((command) => command.includes('sleep 120')), line);
    await cluster.waitFor(/slot \d\) started/, 5_000, cluster.output.indexOf('is unresponsive'));
    assert.equal((await cluster.stop()).code, 0);
    await cluster.assertNothingLeft();
  });
}
