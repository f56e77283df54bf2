import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { withConfig } from '../helpers/with-config.js';

/** Ways in which a plugin fails where nobody waits for it; each says its own word. */
const WAYS: Record<string, string> = {
  'a tap': 'hooks.workerReady.tap("x", () => { throw new Error("a tap"); });',
  'an async tap': 'hooks.workerReady.tap("x", async () => { throw new Error("an async tap"); });',
  'a timer': 'setTimeout(() => { throw new Error("a timer"); }, 50);',
  'an async timer': 'setTimeout(async () => { throw new Error("an async timer"); }, 50);',
  'a timer of a tap': 'hooks.workerReady.tap("x", () => { setTimeout(() => { throw new Error("a timer of a tap"); }, 50); });',
  'a promise': 'new Promise((_, reject) => setTimeout(reject, 50, new Error("a promise")));',
  'no error': 'setTimeout(() => { throw "no error"; }, 50);',
  'a server': 'net.createServer().listen(0, "127.0.0.1", function () { this.close(); throw new Error("a server"); });',
  'a missing listener': 'setTimeout(() => new EventEmitter().emit("error", new Error("a missing listener")), 50);',
  'a signal': 'process.on("SIGWINCH", () => { throw new Error("a signal"); });',
  'a message': 'master.messenger.on("word", () => { throw new Error("a message"); });',
  'an async message': 'master.messenger.on("word", async () => { throw new Error("an async message"); });',
  'a guarded timer': 'setTimeout(master.guard("its clock", () => { throw new Error("a guarded timer"); }), 50);',
  'a message of its part': 'hooks.workerForked.tap("x", (child) => child.channel.on("shop.word", () => '
    + '{ throw new Error("a message of its part"); })); master.inject("worker", new URL("./part.mjs", import.meta.url));',
};

test('whatever a plugin throws is a line with its name, counted, and the master goes on', async (t) => {
  const app = ownApp(t, {
    'package.json': { name: 'plugin-faults' },
    'server.js': 'require("http").createServer((q, s) => s.end("ok")).listen(process.env.PORT);\n'
      + 'setTimeout(() => process.send({ action: "word", to: "master" }), 100);',
    'part.mjs': 'export default (runtime) => { runtime.channel.send("shop.word", 1); };',
    'plugin.mjs': `import { EventEmitter } from 'node:events';
import net from 'node:net';
export default { name: 'shop', apply(master) { const { hooks } = master; ${Object.values(WAYS).join('\n')} } };`,
  });
  const config = withConfig(t, { workers: 1, plugins: { [`${app.dir}/plugin.mjs`]: true, metrics: true } });
  const cluster = await startCluster(t, app.dir, { flags: ['--config', config] });
  cluster.signal('SIGWINCH');
  const line = (word: string) => new RegExp(`ERROR .*(?:plugin "shop".*${word}$|${word} \\(begun by plugin "shop"\\))`, 'm');
  for (const word of Object.keys(WAYS)) await cluster.waitFor(line(word), 5_000);
  assert.match(cluster.output, /^ {4}at .*plugin\.mjs/m, 'with its stack');
  assert.equal((await get(cluster.url)).status, 200);
  const status = await cluster.status();
  assert.ok(status.faults >= Object.keys(WAYS).length, String(status.faults));
  assert.equal(status.state, 'running');
  assert.equal((await cluster.stop()).code, 0);
});
