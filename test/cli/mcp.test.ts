import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { bin, node, run } from '../helpers/cluster.js';
import { Sandbox, SERVER, get } from './sandbox.js';

interface Result { content: { text: string }[]; structuredContent?: Record<string, unknown>; isError?: boolean }

/** The stock client, as a coding agent has it. */
async function connect(t: { after(fn: () => unknown): void }, sandbox: Sandbox, args: string[]) {
  const client = new Client({ name: 'test', version: '1.0.0' });
  const env = Object.fromEntries(Object.entries(sandbox.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
  await client.connect(new StdioClientTransport({ command: node, args: [bin, 'mcp', ...args], env, cwd: sandbox.dir, stderr: 'pipe' }));
  t.after(() => client.close());
  const call = async (name: string, given: Record<string, unknown> = {}) => await client.callTool({ name, arguments: given }) as Result;
  return { client, call };
}

test('a coding agent sees the instance, its log, and what is wrong with new code; and reloads', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port } = await sandbox.daemon(dir);
  const { client, call } = await connect(t, sandbox, [dir]);
  assert.equal(client.getServerVersion()?.name, 'hatchery');
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map(({ name }) => name), ['status', 'logs', 'last_error', 'reload', 'doctor']);
  assert.equal((await call('status')).structuredContent?.state, 'running');
  assert.equal((await call('last_error')).content[0]?.text, 'no error is known');

  writeFileSync(path.join(dir, 'server.js'), SERVER.replace('BODY', 'NEW'));
  const reloaded = await call('reload');
  assert.deepEqual([reloaded.isError, reloaded.structuredContent?.replaced], [undefined, 1]);
  assert.equal(await get(port), 'NEW');

  const since = new Date().toISOString();
  writeFileSync(path.join(dir, 'server.js'), '// a comment\nconst users = undefined;\nconsole.log(users.length);\n');
  const aborted = await call('reload');
  assert.equal(aborted.isError, true);
  assert.match(aborted.content[0]!.text, /ERR_CLUSTER_RELOAD_ABORTED/);
  const last = await call('last_error');
  assert.match(last.content[0]!.text, /Cannot read properties of undefined[^]*server\.js:3:19\n[^]*> 3 \| console\.log\(users\.length\);/);
  const { file, line } = last.structuredContent?.where as { file: string; line: number };
  assert.deepEqual([file, line], [path.join(dir, 'server.js'), 3]);

  const log = (await call('logs', { since, level: 'error' })).content[0]!.text;
  assert.match(log, /failed to start\nTypeError/);
  assert.doesNotMatch(log, /INFO/);
  assert.match((await call('logs', { lines: 1 })).content[0]!.text, /^\(\d+ earlier entries left out\)\n/);
  assert.ok(Array.isArray((await call('doctor')).structuredContent?.findings));
  assert.equal(await get(port), 'NEW');
});

test('where nothing runs the tools say so', async (t) => {
  const sandbox = new Sandbox(t);
  const { call } = await connect(t, sandbox, [sandbox.app()]);
  for (const name of ['status', 'logs', 'reload']) {
    const { isError, content } = await call(name);
    assert.equal(isError, true);
    assert.match(content[0]!.text, /no instance is running in /);
  }
  assert.match((await call('last_error')).content[0]!.text, /no instance is running in /);
});

test('what is asked wrongly is told as the protocol has it, and the end of the input ends it', async () => {
  const lines = [
    'no json', '[]', '{"jsonrpc":"2.0","id":1,"method":"nothing"}',
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"sttus"}}',
    '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"logs","arguments":{"lines":0}}}',
    '{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"logs","arguments":{"since":"soon"}}}',
    '{"jsonrpc":"2.0","method":"notifications/initialized"}', '{"jsonrpc":"2.0","id":"x","method":"ping"}', '',
    '{"jsonrpc":"2.0","id":5,"method":"initialize","params":{"protocolVersion":"1999-01-01"}}',
  ];
  const { code, stdout, stderr } = await run(['mcp'], { input: lines.join('\n') });
  assert.deepEqual([code, stderr], [0, '']);
  const answers = new Map(stdout.trimEnd().split('\n').map((line) => {
    const { id, result, error } = JSON.parse(line) as { id: unknown; result?: { protocolVersion?: string }; error?: { code: number } };
    return [id, result ? result.protocolVersion ?? 'ok' : error?.code];
  }));
  assert.deepEqual(answers, new Map<unknown, unknown>([
    [null, -32_600], [1, -32_601], [2, -32_602], [3, -32_602], [4, -32_602], ['x', 'ok'], [5, '2025-11-25'],
  ]));
});

test('no command waits for a terminal: each ends though its input is a pipe that says nothing', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  await sandbox.daemon(dir);
  const commands = [
    [], ['--help'], ['status'], ['reload'], ['scale', '2'], ['logs', '-n', '1'], ['config'], ['hooks'], ['doctor'], ['systemd'],
    ['proxy-config', 'nginx'], ['restart'], ['stop'], ['start', '-d', '-p', '0'], ['stop'],
  ];
  for (const args of commands) {
    const child = sandbox.spawnNode([bin, ...args], { cwd: dir, input: 'pipe' });
    const late = new Promise<string>((resolve) => { setTimeout(() => resolve('hangs'), 20_000).unref(); });
    const ended = await Promise.race([child.ended, late]);
    assert.notEqual(ended, 'hangs', `${args.join(' ')}\n${child.text}`);
  }
});
