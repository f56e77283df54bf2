import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The URL of Redis itself, or where it stands; `file` is absolute by the time a child has it. */
export type UrlSource = string | { env: string } | { file: string };

/** Files of certificates (PEM): those that Redis's own is checked by, and the one that this side shows. Absolute in a child. */
export interface TlsFiles { ca?: string | undefined; cert?: string | undefined; key?: string | undefined }

export interface Where { source: UrlSource; tls?: TlsFiles | undefined }

/** What of node-redis's options says where Redis is. */
export interface RedisPlace {
  url?: string;
  socket?: { path?: string } & { [Kind in keyof TlsFiles]?: Buffer };
}

/** One node of a Redis Cluster, as another one names it. */
export interface RedisNode { host: string; port: number }

/** Where `MOVED 3999 127.0.0.1:6381` leads; without a host to that of the node which says so. Null: it leads nowhere. */
export function movedTo(answer: string): RedisNode | null {
  const [, host = '', port] = /^MOVED \d+ (.*):(\d+)$/.exec(answer) ?? [];
  return port === undefined ? null : { host: host === '?' ? '' : host, port: Number(port) };
}

const SCHEMES: readonly string[] = ['redis:', 'rediss:', 'unix:'];
const EXPECTED = 'expected a URL such as redis://host:6379, rediss://host:6380 or unix:/run/redis.sock';

/** Why Redis cannot be there, without what may be a secret; undefined: it can. */
export function urlFault(text: string): string | undefined {
  const scheme = /^([a-z][a-z\d+.-]*:)/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined || !SCHEMES.includes(scheme)) {
    return `${EXPECTED}, found ${scheme === undefined || !text.includes('://') ? 'one without a scheme' : `"${scheme}//..."`}`;
  }
  if (scheme === 'unix:') return path.isAbsolute(unixPath(text)) ? undefined : `${EXPECTED}, found no absolute path behind "unix:"`;
  if (!URL.canParse(text)) return `${EXPECTED}, found one that cannot be read (a password may need %-encoding)`;
  const { hostname, pathname } = new URL(text);
  if (hostname === '') return `${EXPECTED}, found one without a host`;
  return /^\/?\d*$/.test(pathname) ? undefined : `${EXPECTED}, found a database that is no number`;
}

const unixPath = (text: string): string => text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');

/**
 * Reads it anew each time, as a secret and certificates may be changed while this runs. `node`: which one of a cluster.
 * @throws Error with one line, which shows no secret
 */
export function redisPlace(
  { source, tls }: Where, env: Readonly<Record<string, string | undefined>>, node?: RedisNode | null,
): RedisPlace {
  const text = textOf(source, env);
  const fault = urlFault(text);
  if (fault !== undefined) throw new Error(typeof source === 'string' ? fault : `${named(source)}: ${fault}`);
  const isSecure = /^rediss:/i.test(text);
  if (tls && !isSecure) throw new Error('`tls` needs a URL with rediss://');
  if (/^unix:/i.test(text)) return { socket: { path: unixPath(text) } };
  const url = node ? atNode(text, node) : text;
  if (!tls) return { url };
  const files = Object.entries(tls).flatMap(([kind, file]) => file === undefined ? [] : [[kind, readText(`the file ${file}`, file)]]);
  return { url, socket: Object.fromEntries(files) as NonNullable<RedisPlace['socket']> };
}

function atNode(text: string, { host, port }: RedisNode): string {
  const url = new URL(text);
  if (host !== '') url.hostname = host.includes(':') ? `[${host}]` : host;
  url.port = String(port);
  return url.href;
}

const named = (source: { env: string } | { file: string }): string =>
  'env' in source ? `the variable ${source.env}` : `the file ${source.file}`;

function textOf(source: UrlSource, env: Readonly<Record<string, string | undefined>>): string {
  if (typeof source === 'string') return source;
  if ('file' in source) return readText(named(source), source.file).toString().trim();
  const text = env[source.env]?.trim();
  if (text === undefined || text === '') throw new Error(`${named(source)} is not set: expected the URL of Redis there, or \`url\``);
  return text;
}

function readText(name: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`${name} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}
