import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { fixture, root, startCluster, type ClusterOptions, type Scope, type TestCluster } from './cluster.js';

/** What the fixture `sticky-app` says of itself and its client. */
export interface Who {
  status: number;
  slot: number;
  pid: number;
  remote: string;
  encrypted: boolean;
  url: string;
  headers: Record<string, string>;
  length: number;
  sha1: string;
  count: number;
  /** The answer's own headers. */
  answer: http.IncomingHttpHeaders;
  text: string;
}

/** A cluster of `sticky-app` (or another fixture) with these options of the plugin. */
export async function stickyCluster(
  t: Scope, options: object, { app = 'sticky-app', config = {}, ...rest }: ClusterOptions & { app?: string; config?: object } = {},
): Promise<TestCluster & { dir: string }> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-app-'));
  cpSync(fixture(app), dir, { recursive: true });
  symlinkSync(path.join(root, 'node_modules'), path.join(dir, 'node_modules'));
  writeFileSync(path.join(dir, '.clusterrc'), JSON.stringify({
    workers: 4, ...config, plugins: { 'sticky-session': options, ...(config as { plugins?: object }).plugins },
  }));
  const cluster = await startCluster(t, dir, { ...rest, env: { STICKY_APP: path.join(fixture('sticky-app'), 'server.js'), ...rest.env } });
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return Object.assign(cluster, { dir });
}

export interface Ask {
  headers?: http.OutgoingHttpHeaders;
  method?: string;
  body?: Buffer | string;
  /** The client's own address, anything in 127.0.0.0/8. */
  from?: string;
  agent?: http.Agent | false;
  secure?: boolean;
  /** ms */
  deadline?: number;
}

/** One request; its own connection unless an agent is given. */
export function ask(
  where: { port: number } | { socketPath: string }, url: string,
  { headers = {}, method, body, from, agent = false, secure = false, deadline = 10_000 }: Ask = {},
): Promise<Who> {
  return new Promise((resolve, reject) => {
    const request = (secure ? https : http).request({
      host: 'socketPath' in where ? undefined : '127.0.0.1', ...where, path: url, headers, agent,
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      ...(from ? { localAddress: from } : {}), ...(secure ? { rejectUnauthorized: false } : {}),
    }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        clearTimeout(timer);
        const text = Buffer.concat(chunks).toString();
        resolve({
          ...(text.startsWith('{') ? JSON.parse(text) as Who : {} as Who),
          status: response.statusCode as number, answer: response.headers, text,
        });
      });
    });
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${deadline} ms`)), deadline);
    request.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.end(body);
  });
}

/** Addresses of so many clients, all of them this machine. */
export const addresses = (count: number): string[] => Array.from({ length: count }, (_, n) => `127.0.${1 + (n >> 8)}.${n & 255}`)
  .map((one) => one.endsWith('.0') ? one.replace(/0$/, '1') : one);
