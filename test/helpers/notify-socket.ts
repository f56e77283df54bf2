import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from './cluster.js';
import { missing } from './skips.js';

/** systemd's end of sd_notify. Node has no unix datagram sockets, so Python listens. */
const SERVER = `
import socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(server.recv(65536).decode().replace("\\n", " "), flush=True)
`;

const runs = (command: string): boolean => spawnSync(command, ['--version']).status === 0;

/** Why this machine cannot play systemd; false when it can. As the `skip` of a test. */
export const cannotNotify: string | false = !runs('python3') ? missing.python : !runs('systemd-notify') ? missing.systemd : false;

export interface NotifySocket {
  path: string;
  /** What was said, one notification each; barriers left out. */
  messages: string[];
}

export async function notifySocket(scope: Scope): Promise<NotifySocket> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'nfy-'));
  const file = path.join(dir, 'notify.sock');
  const server = spawn('python3', ['-c', SERVER, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  scope.after(() => {
    server.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });
  const messages: string[] = [];
  await new Promise<void>((resolve, reject) => {
    let rest = '';
    server.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === 'bound') resolve();
        else if (line !== 'BARRIER=1') messages.push(line);
      }
    });
    server.once('exit', () => reject(new Error('no notify socket')));
  });
  return { path: file, messages };
}
