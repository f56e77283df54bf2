import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { answering, ownApp } from '../helpers/own-app.js';
import { unsuited } from '../helpers/skips.js';
import { Terminal } from '../helpers/terminal.js';

const skip = process.platform !== 'linux' && unsuited.linux;
const app = { 'package.json': { name: 'typed-at' }, 'server.js': answering('ok') };

/** CPU time that a process has used, ms. */
function cpu(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const running = (pid: number): boolean => existsSync(`/proc/${pid}`);
const gone = (pid: number) => eventually(() => !running(pid), 3_000);

for (const command of ['dev', 'start -w 1'] as const) {
  test(`${command} &: what is typed is the shell's`, { skip, timeout: 40_000 }, async (t) => {
    const terminal = await Terminal.open(t, ownApp(t, app).dir);
    await terminal.framework(command, '% &');
    const { master } = await terminal.status();
    for (const text of ['one', 'two', 'three']) {
      terminal.type(`echo said-$((1+1))-${text}\n`);
      await terminal.seen(new RegExp(`said-2-${text}`));
    }
    const before = cpu(master.pid);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.ok(cpu(master.pid) - before < 300, `${cpu(master.pid) - before} ms`);
    const after = await terminal.status();
    assert.deepEqual([after.master.pid, after.workers.length], [master.pid, 1]);
    process.kill(master.pid, 'SIGTERM');
    await gone(master.pid);
  });
}

test('dev, Ctrl-Z and bg: it serves on; fg: rs reloads; Ctrl-C ends', { skip, timeout: 40_000 }, async (t) => {
  const terminal = await Terminal.open(t, ownApp(t, app).dir);
  await terminal.framework('dev');
  const { master } = await terminal.status();
  terminal.type('\u001a');
  await terminal.seen(/Stopped/);
  // Typed ahead, so that it is there when the job goes on.
  terminal.type('bg\necho typed-$((1+1))\nrs\n');
  await terminal.seen(/typed-2[^]*rs: command not found/);
  assert.equal((await get(terminal.url)).json.text, 'ok');
  assert.equal((await terminal.status()).workers.length, 1);
  assert.doesNotMatch(terminal.output, /reloaded/);
  terminal.type('fg\n');
  // The shell says what it has brought back.
  await terminal.seen(/rs: command not found[^]*framework.js dev/);
  terminal.type('rs\n');
  await terminal.seen(/reloaded, \d+ ms/);
  terminal.type('\u0003');
  await gone(master.pid);
});

for (const command of ['dev', 'start -w 2'] as const) {
  test(`${command}: it goes with its terminal, with nothing left and no abort`, { skip, timeout: 30_000 }, async (t) => {
    const terminal = await Terminal.open(t, ownApp(t, app).dir);
    await terminal.framework(command, '(trap "" HUP; %; echo $? > code)');
    const { master, workers } = await terminal.status();
    terminal.close();
    for (const { pid } of [master, ...workers]) await gone(pid);
    const code = path.join(terminal.dir, 'code');
    await eventually(() => existsSync(code) && readFileSync(code, 'utf8') === '0\n');
  });
}

for (const before of ['nohup % > out.txt 2>&1 &', 'setsid % < /dev/null > out.txt 2>&1 &']) {
  test(`${before.split(' ')[0]}: it stays, and SIGHUP reloads`, { skip, timeout: 30_000 }, async (t) => {
    const terminal = await Terminal.open(t, ownApp(t, app).dir);
    await terminal.framework('start -w 1', before);
    const { master, workers: [worker] } = await terminal.status();
    // The shell sends it on to a job of its own, which is a reload already.
    terminal.close();
    await eventually(async () => (await terminal.status()).state === 'running');
    process.kill(master.pid, 'SIGHUP');
    await eventually(async () => (await terminal.status()).workers.every(({ generation }) => generation! > 1));
    assert.ok(running(master.pid) && !running(worker!.pid));
    process.kill(master.pid, 'SIGTERM');
    await gone(master.pid);
  });
}

test('a terminal that goes without a word: it serves on', { skip, timeout: 30_000 }, async (t) => {
  const terminal = await Terminal.open(t, ownApp(t, app).dir);
  await terminal.framework('start -w 1', 'setsid %');
  const { master } = await terminal.status();
  terminal.close();
  for (let i = 0; i < 5; i++) assert.equal((await get(terminal.url)).json.text, 'ok');
  const before = cpu(master.pid);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert.ok(cpu(master.pid) - before < 300);
  process.kill(master.pid, 'SIGTERM');
  await gone(master.pid);
});

test('Ctrl-S: the others serve on and status answers, Ctrl-Q says how many lines are missing; stop works meanwhile', {
  skip, timeout: 30_000,
}, async (t) => {
  const terminal = await Terminal.open(t, ownApp(t, app).dir);
  await terminal.framework('start -w 2');
  const lose = async () => {
    const { workers: [worker] } = await terminal.status();
    terminal.type('\u0013');
    process.kill(worker!.pid, 'SIGKILL');
    await eventually(async () => (await terminal.status()).workers.every(({ pid, state }) => pid !== worker!.pid && state === 'ready'));
    assert.equal((await get(terminal.url)).json.text, 'ok');
  };
  await lose();
  terminal.type('\u0011');
  await terminal.seen(/\d+ lines? dropped here: nobody read them for \d+ s/);
  await lose();
  const { master } = await terminal.status();
  process.kill(master.pid, 'SIGTERM');
  await gone(master.pid);
});

test('SIGTTIN and SIGTTOU are the terminal\'s where there is one: they neither scale nor stop', { skip, timeout: 30_000 }, async (t) => {
  const terminal = await Terminal.open(t, ownApp(t, app).dir);
  await terminal.framework('start -w 2');
  const { master } = await terminal.status();
  for (const signal of ['SIGTTIN', 'SIGTTOU', 'SIGTTIN', 'SIGTTIN'] as const) process.kill(master.pid, signal);
  await terminal.seen(/SIGTTIN is the terminal's here: `framework scale`/);
  assert.equal((await terminal.status()).workers.length, 2);
  assert.equal((await get(terminal.url)).json.text, 'ok');
  terminal.type('\u0003');
  await gone(master.pid);
});

for (const line of ['% > log 2>&1 < /dev/null &', 'nohup % &']) {
  test(`${line}: no terminal among its descriptors, so both scale, and neither stops it`, { skip, timeout: 30_000 }, async (t) => {
    const terminal = await Terminal.open(t, ownApp(t, app).dir);
    await terminal.framework('start -w 1', line);
    const { master } = await terminal.status();
    process.kill(master.pid, 'SIGTTIN');
    await eventually(async () => (await terminal.status()).workers.filter(({ state }) => state === 'ready').length === 2);
    process.kill(master.pid, 'SIGTTOU');
    await eventually(async () => (await terminal.status()).workers.length === 1);
    process.kill(master.pid, 'SIGTERM');
    await gone(master.pid);
  });
}

test('SIGTTIN and SIGTTOU in the background of a terminal, after Ctrl-Z and bg, and after fg: it serves on', {
  skip, timeout: 30_000,
}, async (t) => {
  const terminal = await Terminal.open(t, ownApp(t, app).dir);
  await terminal.framework('start -w 2');
  const { master } = await terminal.status();
  const told = async (signal: NodeJS.Signals) => {
    const said = new RegExp(`${signal} is the terminal's here`, 'g');
    const before = terminal.output.match(said)?.length ?? 0;
    process.kill(master.pid, signal);
    await eventually(() => (terminal.output.match(said)?.length ?? 0) > before);
    assert.equal((await get(terminal.url)).json.text, 'ok');
    assert.equal((await terminal.status()).workers.length, 2);
  };
  terminal.type('\u001a');
  await terminal.seen(/Stopped/);
  terminal.type('bg\n');
  await eventually(async () => (await get(terminal.url)).status === 200);
  for (const signal of ['SIGTTIN', 'SIGTTOU'] as const) await told(signal);
  terminal.type('fg\n');
  await terminal.seen(/bg[^]*framework.js start[^]*framework.js start/);
  for (const signal of ['SIGTTIN', 'SIGTTOU'] as const) await told(signal);
  terminal.type('\u0003');
  await gone(master.pid);
});

test('stty tostop: a job in the background is stopped at its first line, as any other, and goes on with fg', {
  skip, timeout: 30_000,
}, async (t) => {
  const terminal = await Terminal.open(t, ownApp(t, app).dir);
  await terminal.framework('start -w 2');
  const { master, workers: [worker] } = await terminal.status();
  terminal.type('\u001a');
  await terminal.seen(/Stopped/);
  terminal.type('stty tostop; bg\n');
  await eventually(async () => (await get(terminal.url)).status === 200);
  process.kill(worker!.pid, 'SIGKILL');
  await eventually(() => /^State:\s+T/m.test(readFileSync(`/proc/${master.pid}/status`, 'latin1')));
  terminal.type('fg\n');
  await eventually(async () => (await terminal.status()).workers.every(({ state }) => state === 'ready'));
  terminal.type('\u0003');
  await gone(master.pid);
});
