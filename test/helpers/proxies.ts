import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { freePort, type Scope } from './cluster.js';
import { missing } from './skips.js';

const installed = (name: string): string | null => [name, `/usr/sbin/${name}`].find((file) => spawnSync(file, ['-v']).status === 0) ?? null;

/** Debian's nginx and HAProxy, where they are installed. */
const nginxBinary = installed('nginx');
const haproxyBinary = installed('haproxy');
/** Reasons to skip, for `node:test`. */
export const withoutNginx: string | false = nginxBinary ? false : missing.nginx;
export const withoutHaproxy: string | false = haproxyBinary ? false : missing.haproxy;

/** What stands in `http { }` for a plain reverse proxy with kept connections to one upstream. */
export const keepAliveProxy = (port: number, upstream: string) => `
  map $http_upgrade $upgrade_or_keep { default upgrade; '' ''; }
  upstream app { server ${upstream}; keepalive 32; keepalive_timeout 4s; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $upgrade_or_keep;
    }
  }`;

/** A real nginx on loopback; gone at the end of the test. Resolves with its port once it accepts. */
export function startNginx(scope: Scope, config: (port: number) => string): Promise<number> {
  return startProxy(scope, (dir, port) => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ');
    writeFileSync(path.join(dir, 'nginx.conf'), `daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
events { worker_connections 4096; }
http { access_log off; ${temporary} ${config(port)}
}
`);
    return [nginxBinary as string, '-p', dir, '-e', path.join(dir, 'error.log'), '-c', path.join(dir, 'nginx.conf')];
  });
}

/** A real HAProxy on loopback, in the same way. */
export function startHaproxy(scope: Scope, config: (port: number) => string): Promise<number> {
  return startProxy(scope, (dir, port) => {
    writeFileSync(path.join(dir, 'haproxy.cfg'), `${config(port)}\n`);
    return [haproxyBinary as string, '-db', '-f', path.join(dir, 'haproxy.cfg')];
  });
}

async function startProxy(scope: Scope, prepare: (dir: string, port: number) => string[]): Promise<number> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-proxy-'));
  // Its worker is somebody else, where it is started by root.
  chmodSync(dir, 0o755);
  const port = await freePort();
  const [command = '', ...args] = prepare(dir, port);
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { errors += text; });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  scope.after(async () => {
    child.kill('SIGTERM');
    await exited;
    rmSync(dir, { recursive: true, force: true });
  });
  const deadline = performance.now() + 5_000;
  while (performance.now() < deadline && child.exitCode === null) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return port;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${command} did not start: ${errors}`);
}
