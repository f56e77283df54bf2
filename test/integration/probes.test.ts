import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { probes } from '../helpers/probes.js';

type Breakage = readonly [code: string, says: RegExp];
/** Whoever sets the property later does not change what Node uses: a Node that looks a function up once, and not at each call. */
const frozen = (owner: string, name: string): string =>
  `{ const owner = ${owner}; const value = owner.${name}; Object.defineProperty(owner, '${name}', { get: () => value, set() {} }); }`;

const parserOfHttp = `(() => {
  const socket = new (require("stream").Duplex)({ read() {} });
  require("http").createServer().emit("connection", socket);
  return socket.parser.constructor;
})()`;

/** Code that takes something away from this Node before a probe runs, and what the probe is to say. */
const breakages: Readonly<Record<string, readonly Breakage[]>> = {
  'answer-parser': [
    [`delete ${parserOfHttp}.kOnBody;`, /`socket\.parser`/],
    [`${parserOfHttp}.prototype.finish = () => undefined;`, /read otherwise/],
  ],
  cluster: [
    [frozen('require("net")', 'createServer'), /`net\.createServer`/],
    [`if (require("cluster").isWorker) ${frozen('require("cluster")', '_getServer')}`, /`cluster\._getServer`/],
  ],
  events: [
    [frozen('require("events").EventEmitter', 'init'), /`EventEmitter\.init`/],
    [`${frozen('process', 'emit')} process.on("SIGUSR2", () => {});`, /no answer|past `process\.emit`/],
  ],
  'handle-pipe': [
    ['process.binding = () => { throw new Error("shut"); };', /`process\.binding` gives no pipes: shut/],
    [`const { Pipe } = process.binding("pipe_wrap");
      Pipe.prototype.writeUtf8String = function (request, text) { return this.writeLatin1String(request, text); };`, /without its handle/],
  ],
  'http-connections': [
    [`const { Server } = require("http");
      const { listen } = Server.prototype;
      Server.prototype.listen = function (...args) {
        return listen.apply(this, args).once("listening", () => {
          const key = Object.getOwnPropertySymbols(this).find(({ description }) => description === "http.server.connections");
          Object.defineProperty(this, Symbol("elsewhere"), { value: this[key] });
          delete this[key];
        });
      };`, /no list|no answer|undefined/],
    ['Object.defineProperty(require("http").ServerResponse.prototype, "_header", { get: () => null, set() {} });', /`_header`|no answer/],
  ],
  'ipc-reader': [
    [`const cp = require("child_process");
      const { fork } = cp;
      cp.fork = (...args) => {
        const child = fork(...args);
        const key = Object.getOwnPropertySymbols(child).find(({ description }) => description === "kChannelHandle");
        Object.defineProperty(child, Symbol("elsewhere"), { value: child[key] });
        delete child[key];
        return child;
      };`, /kChannelHandle/],
  ],
  listening: [
    ['require("net").Server.prototype._listen2 = undefined;', /_listen2/],
    ['require("net")._createServerHandle = () => -22;', /`net\._createServerHandle` cannot bind/],
    ['const { TCP } = process.binding("tcp_wrap"); TCP.prototype.listen = () => -98;', /does not listen|no answer|EADDRINUSE/],
  ],
  modules: [
    ['const M = require("module"); const { wrap } = M; M.wrap = (text) => text === "here" ? text : wrap(text);', /`Module\.wrap`/],
    ['const M = require("module"); M._extensions = new Proxy(M._extensions, { has: () => false });', /`Module\._extensions`/],
    [`const M = require("module");
      const { runMain } = M;
      M.runMain = (file) => String(file).endsWith("main.mjs") ? undefined : runMain(file);`, /no answer/],
  ],
  'own-output': [
    ['process.binding("pipe_wrap").Pipe.prototype.setBlocking = undefined;', /`setBlocking` of a stream's handle is gone/],
    ['process.binding("pipe_wrap").Pipe.prototype.setBlocking = () => 0;', /does not say whether/],
  ],
  'parked-socket': [
    [`const { Pipe } = process.binding("pipe_wrap");
      Pipe.prototype.writeUtf8String = function (request, text) { return this.writeLatin1String(request, text); };`,
    /cannot be|accepts|ECONNREFUSED/],
  ],
  process: [
    ['Object.defineProperty(process, "stderr", { value: process.stderr });', /`process\.stderr` is no configurable getter/],
    ['delete process._getActiveHandles;', /`process\._getActiveHandles` is gone/],
    ['process._getActiveHandles = () => [];', /shows 0/],
    ['process._debugProcess = () => {};', /does not open the inspector/],
    ['delete process._debugProcess;', /not a function/],
  ],
  'raw-sockets': [
    ['process.binding("tcp_wrap").TCP.prototype.getpeername = () => 0;', /`getpeername`/],
  ],
  spawns: [
    [frozen('require("child_process").ChildProcess.prototype', 'spawn'), /`ChildProcess\.prototype\.spawn`/],
    [frozen('process.binding("spawn_sync")', 'spawn'), /`spawn_sync\.spawn`/],
  ],
  wire: [
    ['process.binding("pipe_wrap").Pipe.prototype.writeBuffer = () => 0;', /no answer/],
  ],
};

const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-probe-test-'));
after(() => rmSync(dir, { recursive: true, force: true }));

for (const [subject, broken] of Object.entries(breakages)) {
  test(`a Node that breaks what ${subject} needs is found out`, { concurrency: true, timeout: 30_000 }, async () => {
    for (const [index, [code, says]] of broken.entries()) {
      const first = path.join(dir, `${subject}-${index}.cjs`);
      writeFileSync(first, code);
      const { [subject]: line } = await probes([subject], first);
      assert.match(line ?? 'nothing', says, code);
    }
  });
}

test('every subject has a breakage', async () => {
  assert.deepEqual(Object.keys(await probes()).sort(), Object.keys(breakages).sort());
});
