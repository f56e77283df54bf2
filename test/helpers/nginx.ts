import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { freePort, type Scope } from './cluster.js';

/** Debian's nginx, where it is installed. */
export const nginxBinary: string | null = ['nginx', '/usr/sbin/nginx'].find((file) => spawnSync(file, ['-v']).status === 0) ?? null;
/** A reason to skip, for `node:test`. */
export const withoutNginx: string | false = nginxBinary ? false : 'nginx is not installed';

/** What stands in `http { }` for a plain reverse proxy with kept connections to one upstream. */
export const keepAliveProxy = (port: number, upstream: string) => `
  map $http_upgrade $upgrade_or_keep { default upgrade; '' ''; }
  upstream app { server ${upstream}; keepalive 32; }
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
export async function startNginx(scope: Scope, config: (port: number) => string): Promise<number> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-nginx-'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ');
  writeFileSync(path.join(dir, 'nginx.conf'), `daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
events { worker_connections 4096; }
http { access_log off; ${temporary} ${config(port)}
}
`);
  const child = spawn(nginxBinary as string, ['-p', dir, '-e', path.join(dir, 'error.log'), '-c', path.join(dir, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
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
  throw new Error(`nginx did not start: ${errors}`);
}
