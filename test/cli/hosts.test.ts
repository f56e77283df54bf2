import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { run, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

/** An app with what the test wants of the plugin in its configuration; it answers which files of it are loaded. */
function app(t: TestContext, hosts: unknown, files: Record<string, string | object> = {}): string {
  return ownApp(t, {
    'package.json': { name: 'mine', main: 'app.js' },
    'app.js': `const path = require('node:path');
      module.exports = (context) => (request, response) => {
        let said;
        try { context.messenger.broadcast('news', 1, { scope: request.url.slice(1) }); } catch (error) { said = error; }
        let led;
        try { context.lead('job'); } catch (error) { led = error; }
        const loaded = Object.keys(require.cache).filter((file) => /plugins.hosts|redis/.test(file));
        response.end(JSON.stringify({ loaded, said: said && [said.code, said.message], led: led && [led.code, led.message] }));
      };`,
    '.clusterrc.json': { plugins: { 'hosts': hosts } },
    ...files,
  }).dir;
}
const refused = async (dir: string, env: NodeJS.ProcessEnv = {}): Promise<string> => {
  const { code, stdout, stderr } = await run(['start', dir, '-p', '0'], { env: { ...process.env, REDIS_URL: '', ...env } });
  assert.equal(code, 2, stdout + stderr);
  const text = (stdout + stderr).trim();
  assert.equal(text.split('\n').length, 1, text);
  return text;
};

test('without the package redis in the app it is said how to get it', async (t) => {
  assert.match(await refused(app(t, { url: 'redis://127.0.0.1:1' })),
    /plugin "hosts": the package redis is not installed in .*: npm install redis$/);
});

test('without a URL it is said where one is expected', async (t) => {
  assert.match(await refused(app(t, true)), /plugin "hosts": url: the variable REDIS_URL is not set: expected the URL of Redis there/);
  assert.match(await refused(app(t, { url: { file: 'secret' } })), /url: the file .*secret cannot be read: ENOENT$/);
});

test('a wrong option is told in one line, the nearest right name with it, and never a secret', async (t) => {
  assert.match(await refused(app(t, { ttll: 5 })), /plugins\.hosts\.ttll: unknown option, did you mean "ttl"\?$/);
  assert.match(await refused(app(t, { ttl: 5 })), /plugins\.hosts\.ttl: expected 1000 ms or more, found 5$/);
  const text = await refused(app(t, { url: 'http://me:hush@host' }));
  assert.match(text, /plugins\.hosts\.url: expected a URL such as redis:/);
  assert.doesNotMatch(text, /hush/);
  assert.doesNotMatch(await refused(app(t, true), { REDIS_URL: 'hush' }), /hush/);
  assert.match(await refused(app(t, { url: 'redis://x' }, {
    '.clusterrc.json': { plugins: { hosts: { url: 'redis://x' }, 'shared-clients': false } },
  })), /plugin "hosts": it needs the plugin "shared-clients", which is switched off$/);
});

test('where it is off nothing of it is loaded, and what needs it says so', async (t) => {
  const cluster = await startCluster(t, app(t, false), { flags: ['-w', '1'] });
  const { loaded, said, led } = (await get(`${cluster.url}/all`)).json as Record<string, unknown[]>;
  assert.deepEqual(loaded, []);
  assert.deepEqual(said, ['ERR_CLUSTER_USAGE', 'messenger.broadcast: expected the plugin "hosts" to be on for this scope, found "all"']);
  assert.deepEqual(led, ['ERR_CLUSTER_USAGE', 'context.lead: the plugin "hosts" is switched off']);
  const { said: wrong } = (await get(`${cluster.url}/al`)).json as Record<string, unknown[]>;
  assert.deepEqual(wrong, ['ERR_CLUSTER_USAGE', 'messenger.broadcast: expected "all" as its scope, found "al"']);
  const all = await cluster.run('status', ['--all']);
  assert.equal(all.code, 2);
  assert.match(all.stderr, /^status --all: the instance does not have the plugin "hosts" on: switch it on/m);
});

test('where Redis is not there the app starts all the same, and does not wait for it', async (t) => {
  const cluster = await startCluster(t, 'hosts', {
    flags: ['-w', '2', '--config', `${app(t, { url: 'redis://127.0.0.1:1', name: 'here' })}/.clusterrc.json`],
  });
  assert.match((await get(`${cluster.url}/a`)).text, /\/a/);
  await cluster.waitFor(/WARN .*Redis cannot be reached: connect ECONNREFUSED/);
  const { stdout, code } = await cluster.run('status', ['--all']);
  assert.equal(code, 0);
  assert.match(stdout, /only this instance: Redis cannot be reached: .*\n\nhost +title/);
  assert.match(stdout, /^here +t-/m);
  const began = performance.now();
  assert.equal((await cluster.stop()).code, 0);
  assert.ok(performance.now() - began < 5_000);
  assert.equal(cluster.output.match(/Redis cannot be reached/g)?.length, 1);
});
