import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The URL of Redis itself, or where it stands; `file` is absolute by the time a child has it. */
export type UrlSource = string | { env: string } | { file: string };

/** What of node-redis's options says where Redis is. */
export interface RedisPlace {
  url?: string;
  socket?: { path: string };
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

/** Reads it anew each time, as a secret may be changed while this runs. @throws Error with one line, which shows no secret */
export function redisPlace(source: UrlSource, env: Readonly<Record<string, string | undefined>>): RedisPlace {
  const text = textOf(source, env);
  const fault = urlFault(text);
  if (fault !== undefined) throw new Error(typeof source === 'string' ? fault : `${named(source)}: ${fault}`);
  return /^unix:/i.test(text) ? { socket: { path: unixPath(text) } } : { url: text };
}

const named = (source: { env: string } | { file: string }): string =>
  'env' in source ? `the variable ${source.env}` : `the file ${source.file}`;

function textOf(source: UrlSource, env: Readonly<Record<string, string | undefined>>): string {
  if (typeof source === 'string') return source;
  if ('file' in source) {
    try {
      return readFileSync(source.file, 'utf8').trim();
    } catch (error) {
      throw new Error(`${named(source)} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
    }
  }
  const text = env[source.env]?.trim();
  if (text === undefined || text === '') throw new Error(`${named(source)} is not set: expected the URL of Redis there, or \`url\``);
  return text;
}
