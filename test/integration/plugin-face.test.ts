import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fixture, run, startCluster, type Scope } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

/** A configuration with these plugins, each a module of its own. */
function withPlugins(t: Scope, sources: Record<string, string>, config: object = {}): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hp-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const plugins: Record<string, unknown> = { ...(config as { plugins?: object }).plugins };
  for (const [name, source] of Object.entries(sources)) {
    writeFileSync(path.join(dir, `${name}.mjs`), source);
    plugins[path.join(dir, `${name}.mjs`)] = true;
  }
  const file = path.join(dir, 'cluster.json');
  writeFileSync(file, JSON.stringify({ ...config, plugins }));
  return file;
}

const plugin = (name: string, body: string) => `export default { name: ${JSON.stringify(name)}, apply(master) { ${body} } };`;

test('a tap after apply is refused with its code, whoever makes it and whenever', async (t) => {
  const config = withPlugins(t, { late: plugin('late', `
    const { hooks } = master;
    const tell = (what) => {
      try { hooks.workerExit.tap('late', () => {}); } catch (error) { master.logger.warn(what + ' ' + error.code + ' ' + error.message); }
    };
    setTimeout(() => tell('timer'), 50);
    hooks.clusterReady.tap('late', () => tell('hook'));`) });
  const cluster = await startCluster(t, 'hello', { flags: ['--config', config] });
  await cluster.waitFor(/timer ERR_CLUSTER_TAP_LATE plugin "late" taps hook workerExit after its apply has returned/);
  await cluster.waitFor(/hook ERR_CLUSTER_TAP_LATE/);
});

test('taps bear the name of their plugin', async (t) => {
  const config = withPlugins(t, { mine: plugin('mine', 'master.hooks.workerReady.tap("something else", () => {});') });
  const { stdout } = await run(['hooks', fixture('hello'), '--config', config]);
  assert.match(stdout, /^workerReady .*\bmine\b/m);
  assert.doesNotMatch(stdout, /something else/);
});

test('several plugins see connections in their order, and sticky sessions still choose the slot', async (t) => {
  const sees = (name: string) =>
    plugin(name, `master.routeConnections({ prepare(client, admit) { master.logger.info('seen by ${name}'); admit(); } });`);
  const config = withPlugins(t, { first: sees('first'), second: sees('second') }, { plugins: { 'sticky-session': true } });
  const cluster = await startCluster(t, 'hello', { flags: ['-w', '4', '--config', config] });
  const slots = new Set<unknown>();
  for (let i = 0; i < 20; i++) slots.add((await get(`${cluster.url}/`)).json.slot);
  assert.equal(slots.size, 1, 'one client, one slot');
  const seen = [...cluster.output.matchAll(/seen by (\w+)/g)].map(([, name]) => name);
  assert.equal(seen.length, 40);
  assert.ok(seen.every((name, i) => name === (i % 2 === 0 ? 'first' : 'second')));
});

test('a blocklist closes a connection before anybody else sees it', async (t) => {
  const config = withPlugins(t, {
    blocklist: plugin('blocklist', 'master.routeConnections({ prepare(client, admit, drop) { client.close(); drop(); } });'),
    after: plugin('after', 'master.routeConnections({ prepare(client, admit) { master.logger.info("let through"); admit(); } });'),
  });
  const cluster = await startCluster(t, 'hello', { flags: ['--config', config] });
  await assert.rejects(get(`${cluster.url}/`));
  assert.doesNotMatch(cluster.output, /let through/);
});

test('two plugins that pick the slot: one line with both names, nothing started', async (t) => {
  const config = withPlugins(t, { mine: plugin('mine', 'master.routeConnections({ patience: 1000, pick: () => 0 });') }, {
    plugins: { 'sticky-session': true },
  });
  const { code, stderr, stdout } = await run(['start', fixture('hello'), '-p', '0', '--config', config]);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /plugins "sticky-session" and "mine" both pick the slots of connections/);
  assert.equal(stderr.trim().split('\n').length, 1);
  assert.doesNotMatch(stdout, /app_worker/);
});

test('connections cannot be routed where the master does not see them', async (t) => {
  const config = withPlugins(t, { mine: plugin('mine', 'master.routeConnections({ prepare: (client, admit) => admit() });') }, {
    balance: 'os',
  });
  const { code, stderr, stdout } = await run(['start', fixture('hello'), '-p', '0', '--config', config]);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /plugin "mine" routes connections, which the master sees with `balance: "round-robin"` alone, found "os"/);
  assert.doesNotMatch(stdout, /app_worker/);
});

test('plugins share values by name', async (t) => {
  const config = withPlugins(t, {
    gives: plugin('gives', 'master.share("answer", 42);'),
    takes: plugin('takes', 'master.logger.info(`got ${master.shared("answer")}, ${master.shared("nothing")}`);'),
    again: plugin('again', 'try { master.share("answer", 1); } catch (error) { master.logger.info(error.code + " " + error.message); }'),
  });
  const cluster = await startCluster(t, 'hello', { flags: ['--config', config] });
  assert.match(cluster.output, /got 42, undefined/);
  assert.match(cluster.output, /ERR_CLUSTER_PLUGIN plugin "again" shares "answer", which plugin "gives" shares already/);
});

test('a plugin sees where a value of the configuration comes from, and the slots', async (t) => {
  const config = withPlugins(t, { looks: plugin('looks', `
    const { from, where } = master.origin('workers');
    master.logger.info('workers by ' + from + ' ' + where);
    master.hooks.clusterReady.tap('looks', () => {
      master.logger.info('slots ' + master.slots.map((slot) => slot.index + ':' + slot.ready));
    });`) });
  const cluster = await startCluster(t, 'hello', { flags: ['-w', '2', '--config', config] });
  assert.match(cluster.output, /workers by flag --workers/);
  assert.match(cluster.output, /slots 0:true,1:true/);
});

for (const gate of ['beforeClose', 'beforeDrain', 'closed']) {
  test(`a second signal hurries past a tap of ${gate} that hangs`, async (t) => {
    const config = withPlugins(t, { hangs: plugin('hangs', `master.hooks.${gate}.tapPromise('hangs', () => new Promise(() => {}));`) });
    const cluster = await startCluster(t, 'hello', { flags: ['-w', '1', '--config', config] });
    cluster.signal('SIGTERM');
    await cluster.waitFor(/closing \(SIGTERM\)/);
    const since = performance.now();
    await cluster.waitFor(() => performance.now() - since > 600);
    cluster.signal('SIGTERM');
    assert.equal((await cluster.ended(4_000)).code, 0);
    await cluster.assertNothingLeft();
  });
}

const DOES = { SIGTTIN: /\(slot 1\) started/, SIGHUP: /reloaded 1 workers/, SIGTERM: /exit with code:0/ } as const;
for (const [signal, does] of Object.entries(DOES)) {
  test(`${signal} while a plugin's apply takes its time is not lost`, async (t) => {
    const slow = plugin('slow', 'master.logger.info("applying"); return new Promise((done) => setTimeout(done, 500));');
    const config = withPlugins(t, { slow });
    const cluster = await startCluster(t, 'hello', { flags: ['-w', '1', '--config', config], ready: false });
    await cluster.waitFor(/applying/);
    cluster.signal(signal as NodeJS.Signals);
    await cluster.waitFor(does);
  });
}
