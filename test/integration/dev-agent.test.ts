import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDev } from '../helpers/dev.js';
import { eventually } from '../helpers/eventually.js';

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

test('reload-worker starts no agent, and right after a save it is of that save', { timeout: 30_000 }, async (t) => {
  const dev = await startDev(t, 'dev-agent', { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] });
  const { cluster } = dev;
  const count = (what: RegExp) => cluster.output.match(what)?.length ?? 0;
  const ask = () => cluster.process.send?.({ action: 'reload-worker', to: 'master' });
  await dev.answer(/app \d+/);

  // As Egg's development plugin does for each file that it sees saved.
  dev.write('app.js', "module.exports = (request, response) => response.end('second');");
  await cluster.waitFor(/changed: app\.js/);
  ask();
  await dev.answer(/second/);
  await cluster.waitFor(/reloaded in/);
  dev.write('app.js', "module.exports = (request, response) => response.end('third');");
  await dev.answer(/third/);
  await cluster.waitFor(() => count(/reloaded in/g) === 2);
  assert.equal(count(/\] reload-worker/g), 0);

  await eventually(() => {
    ask();
    return count(/\] reload-worker/g) > 0;
  });
  await dev.answer(/third/);
  await cluster.waitFor(() => count(/reloaded in/g) > 2);
  assert.equal(count(/agent_worker#\d+:\d+ started/g), 1);
});

test('reload-worker again and again keeps no start from its end', { timeout: 30_000 }, async (t) => {
  const dev = await startDev(t, 'dev-agent', { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] });
  await dev.answer(/app \d+/);
  const asking = setInterval(() => dev.cluster.process.send?.({ action: 'reload-worker', to: 'master' }), 50);
  dev.cluster.process.once('disconnect', () => clearInterval(asking));
  dev.write('app.js', `module.exports = async () => {
    await new Promise((resolve) => setTimeout(resolve, 600));
    return (request, response) => response.end('slow, ' + process.uptime());
  };`);
  const first = await dev.answer(/slow/, { deadline: 10_000 });
  await eventually(async () => (await dev.get()) !== first);
  clearInterval(asking);
});

test('an agent whose file changed in a reload that came to nothing starts in the next one', { timeout: 30_000 }, async (t) => {
  const dev = await startDev(t, 'dev-agent');
  const { cluster } = dev;
  const agents = () => cluster.output.match(/agent_worker#\d+:\d+ started/g)?.length ?? 0;
  await dev.answer(/app \d+/);
  dev.write('lib/word.js', "module.exports = 'second';");
  dev.write('.clusterrc', 'wrokers: 1');
  await cluster.waitFor(/The configuration is wrong/);
  dev.write('.clusterrc', 'workers: 1');
  await cluster.waitFor(/reloaded in/);
  assert.equal(agents(), 2);
  await dev.answer(/app \d+/);
});
