import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDev } from '../helpers/dev.js';

test('the agent starts again when a file of its own changes, and only then', { timeout: 30_000 }, async (t) => {
  const dev = await startDev(t, 'dev-agent');
  const { cluster } = dev;
  const agents = () => cluster.output.match(/agent_worker#\d+:\d+ started/g)?.length ?? 0;
  await dev.answer(/app \d+/);
  assert.equal(agents(), 1);

  const first = await dev.get();
  dev.write('app.js', "module.exports = (request, response) => response.end('changed ' + process.pid);");
  await dev.answer(/changed/);
  assert.notEqual(await dev.get(), first);
  assert.equal(agents(), 1);

  dev.write('lib/word.js', "module.exports = 'second';");
  await cluster.waitFor(() => agents() === 2);
  await dev.answer(/changed/);

  const from = dev.mark();
  dev.write('agent.js', 'module.exports = () => { throw new Error("no agent today"); };');
  await cluster.waitFor(/The agent does not start: no agent today \(agent\)\n\s+at agent\.js:1:\d+/, 5_000, from);
  await dev.answer(/no agent today/);
  dev.write('agent.js', 'module.exports = () => {};');
  await dev.answer(/changed/);
  assert.equal(agents(), 3);
});
