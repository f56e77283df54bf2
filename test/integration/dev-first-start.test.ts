import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startDev } from '../helpers/dev.js';

const broken = (dir: string) => writeFileSync(path.join(dir, 'version.js'), 'module.exports = nothing;\n');

test('a first start that fails: the command goes on, the port answers with the page, '
  + 'the next save starts the app', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', { edit: broken, ready: false });
  await dev.cluster.waitFor(/The app does not start: ReferenceError: nothing is not defined/);
  await dev.cluster.waitFor(/waiting for the next change; http:\/\/127\.0\.0\.1:\d+ shows this too/);
  await dev.answer(/nothing is not defined/);
  dev.write('version.js', 'module.exports = 2;\n');
  await dev.answer(/^version 2$/m);
  await dev.cluster.waitFor(/dev-app started on http/);
  const { code } = await dev.cluster.stop();
  assert.equal(code, 0);
  await dev.cluster.assertNothingLeft();
});

test('the same when the app listens on another address than the page was shown on: nobody is refused', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', { edit: broken, ready: false });
  await dev.answer(/nothing is not defined/);
  dev.write('version.js', 'module.exports = 3;\n');
  dev.write('app.js', `require('node:http').createServer((request, response) => {
    response.end('version ' + require('./version.js'));
  }).listen(process.env.PORT, '127.0.0.1');\n`);
  const answers: string[] = [];
  while (!answers.at(-1)?.startsWith('version')) {
    answers.push(await dev.get());
    assert.ok(answers.length < 500, 'no answer of the app');
  }
  assert.equal(answers.at(-1), 'version 3');
});

test('a first start that hangs is given up for the next save', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', { edit: (dir) => writeFileSync(path.join(dir, 'version.js'), 'for (;;) {}\n'), ready: false });
  await dev.cluster.waitFor(/not ready after 3 s/);
  await dev.answer(/The app is starting/);
  dev.write('version.js', 'module.exports = 4;\n');
  await dev.answer(/^version 4$/m);
  // That it was killed for the new code is no failure of the app.
  assert.doesNotMatch(dev.cluster.output, /does not start|waiting for the next change/);
});

test('Ctrl-C ends a first start that hangs', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', { edit: (dir) => writeFileSync(path.join(dir, 'version.js'), 'for (;;) {}\n'), ready: false });
  await dev.cluster.waitFor(() => dev.cluster.processes().length >= 2);
  const at = performance.now();
  dev.cluster.signal('SIGINT');
  const { code } = await dev.cluster.ended(3_000);
  assert.equal(code, 0);
  assert.ok(performance.now() - at < 2_000);
  await dev.cluster.assertNothingLeft();
});

test('what is preloaded fails: Node tells the terminal, which the page says; the next save recovers', { timeout: 20_000 }, async (t) => {
  const edit = (dir: string) => {
    writeFileSync(path.join(dir, 'preload.cjs'), 'throw new Error("no loader");\n');
    writeFileSync(path.join(dir, '.clusterrc'), 'require: [./preload.cjs]\n');
  };
  const dev = await startDev(t, 'dev-app', { edit, ready: false });
  await dev.cluster.waitFor(/Error: no loader/);
  await dev.answer(/it ended with code 1 before it was ready; what it printed is in the terminal/);
  dev.write('preload.cjs', '');
  await dev.answer(/version 1/);
});
