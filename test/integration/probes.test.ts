import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { probes } from '../helpers/probes.js';

/** Code that takes something away from this Node before a probe runs, and what the probe is to say. */
const breakages: Readonly<Record<string, readonly (readonly [code: string, says: RegExp])[]>> = {
  'active-handles': [
    ['delete process._getActiveHandles;', /`process\._getActiveHandles` is gone/],
    ['process._getActiveHandles = () => [];', /shows 0/],
  ],
  cluster: [
    ['const net = require("net"); net.Server.prototype._listen2 = undefined;', /undefined/],
    ['require("net")._createServerHandle = () => -22;', /`net\._createServerHandle` cannot bind/],
    // A Node that looks the function up once, and not at each call.
    ['const net = require("net"); const { createServer } = net; Object.defineProperty(net, "createServer", { get: () => createServer, set() {} });', /`net\.createServer`/],
    ['const cluster = require("cluster"); if (cluster.isWorker) { const get = cluster._getServer; Object.defineProperty(cluster, "_getServer", { get: () => get, set() {} }); }',
      /`cluster\._getServer`/],
  ],
  'debug-start': [
    ['process._debugProcess = () => {};', /does not open the inspector/],
    ['delete process._debugProcess;', /not a function/],
  ],
  events: [
    ['const { EventEmitter } = require("events"); const { init } = EventEmitter; Object.defineProperty(EventEmitter, "init", { get: () => init, set() {} });', /`EventEmitter\.init`/],
    ['const { emit } = process; Object.defineProperty(process, "emit", { get: () => emit, set() {} }); process.on("SIGUSR2", () => {});', /no answer|past `process\.emit`/],
  ],
  'handle-pipe': [
    ['process.binding = () => { throw new Error("shut"); };', /`process\.binding` gives no pipes: shut/],
    ['const { Pipe } = process.binding("pipe_wrap"); Pipe.prototype.writeUtf8String = function (request, text) { return this.writeLatin1String(request, text); };',
      /came "port \d+ |without its handle|came "port without/],
  ],
  'http-connections': [
    ['const { Server } = require("http"); const { listen } = Server.prototype; Server.prototype.listen = function (...args) { return listen.apply(this, args).once("listening", () => { for (const key of Object.getOwnPropertySymbols(this)) if (key.description === "http.server.connections") Object.defineProperty(this, Symbol("list"), { value: this[key] }), delete this[key]; }); };',
      /no list|no answer/],
    ['const { ServerResponse } = require("http"); Object.defineProperty(ServerResponse.prototype, "_header", { get: () => null, set() {} });', /`_header`|no answer/],
  ],
  modules: [
    ['const Module = require("module"); const { wrap } = Module; Module.wrap = (text) => text === "here" ? text : wrap(text);', /`Module\.wrap`/],
    ['const Module = require("module"); Module._extensions = new Proxy(Module._extensions, { has: () => false });', /`Module\._extensions`/],
    ['const Module = require("module"); const { runMain } = Module; Module.runMain = (file) => String(file).endsWith("main.mjs") ? undefined : runMain(file);', /no answer/],
  ],
  'process-streams': [
    ['Object.defineProperty(process, "stderr", { value: process.stderr });', /`process\.stderr` is no configurable getter/],
  ],
  'raw-sockets': [
    ['const { TCP } = process.binding("tcp_wrap"); TCP.prototype.getpeername = () => 0;', /`getpeername`/],
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
