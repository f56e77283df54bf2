import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { fixture, node, root, type Scope } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';

/** A user's own script that starts a cluster and goes on with `then`; its end and all that it has said. */
async function script(t: Scope, then: string): Promise<{ code: number | null; output: string }> {
  const app = ownApp(t, {
    'script.mjs': `import { startCluster } from ${JSON.stringify(path.join(root, 'dist/lib/index.js'))};
const plugin = { name: 'shop', apply({ hooks, guard }) {
  hooks.workerReady.tap('shop', () => { throw new Error('in a tap'); });
  setTimeout(guard('its clock', () => { throw new Error('in a guarded timer'); }), 10);
} };
const cluster = await startCluster({ target: ${JSON.stringify(fixture('life'))}, port: 0, workers: 1, plugins: { shop: plugin } });
${then}`,
  });
  const child = spawn(node, [path.join(app.dir, 'script.mjs')], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text; });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

test('in a process of the user\'s own: what is thrown in the master ends nothing', async (t) => {
  const { code, output } = await script(t, `
cluster.onProgress(() => { throw new Error('in a listener'); });
await cluster.scale(2);
const { faults } = await cluster.status();
console.log('faults', faults);
await cluster.close('done');`);
  assert.equal(code, 0, output);
  for (const what of ['in a tap', 'in a guarded timer', 'in a listener']) assert.match(output, new RegExp(`ERROR .*${what}`), output);
  assert.match(output, /^faults [4-9]$/m, output);
});

for (const [what, code] of [['throw new Error("mine")', 1], ['Promise.reject(new Error("mine"))', 1]] as const) {
  test(`in a process of the user's own: ${what} ends it, as in any other`, async (t) => {
    const ended = await script(t, `setTimeout(() => { ${what}; }, 50); setInterval(() => {}, 1000);`);
    assert.equal(ended.code, code, ended.output);
    assert.match(ended.output, /^ *at .*script\.mjs/m);
    assert.doesNotMatch(ended.output, /ERROR .*mine/);
  });
}
