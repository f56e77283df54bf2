import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { bin, fixture, freePort, node } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { Load } from '../helpers/load.js';
import { missing, unsuited } from '../helpers/skips.js';

/** systemd's end of socket activation: opens the sockets as descriptors 3 and up, and becomes the service. */
const ACTIVATE = `
import os, socket, sys
addresses, command = sys.argv[1].split(","), sys.argv[2:]
held = []
for n, address in enumerate(addresses):
    if address.startswith("/"):
        one = socket.socket(socket.AF_UNIX); one.bind(address)
    else:
        one = socket.socket(); one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); one.bind(("127.0.0.1", int(address)))
    one.listen(128); held.append(one)
for n, one in enumerate(held):
    os.dup2(one.fileno(), 10 + n)
for n in range(len(held)):
    os.dup2(10 + n, 3 + n); os.close(10 + n); os.set_inheritable(3 + n, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(held)), LISTEN_FDNAMES=":".join("s%d" % n for n in range(len(held))))
print("activated", flush=True)
os.execvp(command[0], command)
`;

const skip = process.platform !== 'linux' ? unsuited.linux : spawnSync('python3', ['--version']).status !== 0 ? missing.python : false;

async function activate(t: { after(fn: () => unknown): void }, addresses: string[], flags: string[], env: NodeJS.ProcessEnv = {}) {
  const tmp = mkdtempSync(path.join(os.tmpdir(), 'act-'));
  const service = spawn('python3', [
    '-c', ACTIVATE, addresses.join(), node, bin, 'start', fixture('health-app'), '--title', `t-act-${process.pid}`, ...flags,
  ], {
    env: { ...process.env, ...env, XDG_RUNTIME_DIR: tmp }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  const result = { output: '', service, exit: new Promise<number | null>((resolve) => service.on('exit', resolve)) };
  for (const stream of [service.stdout, service.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => { result.output += text; });
  }
  t.after(async () => {
    service.kill('SIGTERM');
    service.kill('SIGTERM');
    await result.exit;
    rmSync(tmp, { recursive: true, force: true });
  });
  await eventually(() => result.output.includes('activated'));
  return result;
}

for (const balance of ['round-robin', 'os']) {
  test(`a port that systemd listens on is served by the workers, through a reload without a lost request (balance ${balance})`, {
    skip,
  }, async (t) => {
    const port = await freePort();
    const run = await activate(t, [String(port)], ['--port', String(port), '--workers', '2'], { CLUSTER_BALANCE: balance });
    // The socket is open from the beginning: a client that comes early waits, and is served.
    const early = await get(`http://127.0.0.1:${port}/`, { deadline: 10_000 });
    assert.equal(early.status, 200, run.output);
    await eventually(() => /started on/.test(run.output));
    assert.match(run.output, new RegExp(`serving systemd's sockets: ${port}`));
    assert.match(run.output, new RegExp(`started on http://127\\.0\\.0\\.1:${port}`));
    const load = new Load({ perConnection: 2 }, { http: { port }, pause: 5 });
    t.after(() => load.stop());
    run.service.kill('SIGHUP');
    await eventually(() => /reloaded 2 workers/.test(run.output), 10_000);
    await load.stop();
    assert.equal(load.lost, 0, `${load.report()}\n${run.output}`);
    run.service.kill('SIGTERM');
    assert.equal(await run.exit, 0, run.output);
  });
}

test('a single socket is served whatever the configured port is, and the log says so', { skip }, async (t) => {
  const port = await freePort();
  const run = await activate(t, [String(port)], ['--port', '7001', '--workers', '1']);
  assert.equal((await get(`http://127.0.0.1:${port}/`)).status, 200, run.output);
  await eventually(() => new RegExp(`systemd's socket ${port} is served in place of 7001`).test(run.output));
});

test('a unix socket of systemd\'s', { skip }, async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'act-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'app.sock');
  const run = await activate(t, [file], ['--workers', '1']);
  assert.equal((await get('http://app/', { socketPath: file })).status, 200, run.output);
});
