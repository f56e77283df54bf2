import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture } from '../helpers/cluster.js';
import { startDev } from '../helpers/dev.js';

test('an app of a framework reloads, two workers at a time', { timeout: 30_000 }, async (t) => {
  const dev = await startDev(t, 'framework-plain', { flags: ['--framework', fixture('framework-plain/framework'), '--workers', '2'] });
  const { cluster } = dev;
  await dev.answer(/"by":"framework"/);
  const started = () => cluster.output.match(/app_worker#\d+:\d+ \(slot \d\) started/g)?.length ?? 0;
  assert.equal(started(), 2);
  dev.write('app/app.js', "export const answer = () => ({ by: 'an edited app' });\n");
  await dev.answer(/an edited app/);
  await cluster.waitFor(() => started() === 4);
  dev.write('app/app.js', "export const answer = nothing;\n");
  await dev.answer(/nothing is not defined/);
  dev.write('app/app.js', "export const answer = () => ({ by: 'a mended app' });\n");
  await dev.answer(/a mended app/);
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
});

test('`framework reload` fills the place of a worker that crashed', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t);
  await dev.get('/late');
  await dev.answer(/The app crashed/);
  const { code, stdout, stderr } = await dev.cluster.run('reload');
  assert.equal(code, 0, stdout + stderr);
  await dev.answer(/version 1/);
});
