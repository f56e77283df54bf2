import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Where a text does not parse. */
export interface SyntaxFault {
  /** `/srv/app/part.mjs:2` */
  place: string;
  /** File and line, the code, and a mark below it, as Node prints them before an error that ends it. */
  frame: string;
  message: string;
}

/** What the error itself tells: of CommonJS, and of types, Node puts it before the stack, esbuild (of tsx) into the message. */
export function syntaxFault(error: unknown): SyntaxFault | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof SyntaxError) return faultIn(error.stack ?? '', error.message);
  const told = /^Transform failed .*\n(.+):(\d+):(\d+): ERROR: (.*)/.exec(error.message);
  const [, file = '', line = '', column = '', message = ''] = told ?? [];
  if (!file) return undefined;
  const place = `${file}:${line}`;
  return { place, message, frame: [place, lineOf(file, Number(line)), `${' '.repeat(Number(column))}^`].join('\n') };
}

function faultIn(text: string, message: string): SyntaxFault | undefined {
  const [head, where = ''] = /^(.+:\d+)\n(?:.*\n)*?(?=\w*Error(?: \[\w+\])?: )/.exec(text) ?? [];
  if (head === undefined || /^\w*Error\b/.test(where)) return undefined;
  const [, url, line] = /^(file:.+?)(?:\?[^:]*)?(:\d+)$/.exec(where) ?? [];
  const frame = head.trimEnd().replace(/^(file:.+?)\?[^:\n]*(:\d+\n)/, '$1$2');
  return { place: url === undefined ? where : fileURLToPath(url) + line, frame, message };
}

function lineOf(file: string, line: number): string {
  try {
    return readFileSync(file, 'utf8').split('\n')[line - 1] ?? '';
  } catch {
    return '';
  }
}

/** Of an ES module Node knows the place, and shows it only where the error ends the process by itself. */
const isUntold = (error: unknown): error is SyntaxError =>
  error instanceof SyntaxError && /^SyntaxError: .*\n +at compileSourceTextModule /.test(error.stack ?? '');

/** Milliseconds that the place of a syntax error is looked for. */
const PATIENCE = 5_000;

/** Parses an ES module and what it imports by relative paths, and runs none of it; the first fault is left to Node to print. */
const PARSE_ALL = `
const { readFileSync, existsSync } = require('node:fs');
const { SourceTextModule } = require('node:vm');
const { stripTypeScriptTypes } = require('node:module');
const queue = [new URL(process.argv[1])];
const seen = new Set();
for (const url of queue) {
  if (seen.has(url.href) || !/\\.m?[jt]s$/.test(url.pathname) || !existsSync(url)) continue;
  seen.add(url.href);
  let source = readFileSync(url, 'utf8');
  if (url.pathname.endsWith('ts')) {
    if (!stripTypeScriptTypes) continue;
    source = stripTypeScriptTypes(source);
  }
  const module = new SourceTextModule(source, { identifier: url.href });
  const requests = module.moduleRequests?.map((request) => request.specifier) ?? module.dependencySpecifiers;
  const later = Array.from(source.matchAll(/\\bimport\\(\\s*(['"])([^'"]+)\\1/g), (found) => found[2]);
  for (const one of [...requests, ...later]) if (/^\\.{0,2}\\//.test(one)) queue.push(new URL(one, url));
}`;

const command = (entry: string): [string, string[]] =>
  [process.execPath, ['--no-warnings', '--experimental-vm-modules', '-e', PARSE_ALL, pathToFileURL(entry).href]];

const options = () => ({
  encoding: 'utf8' as const,
  timeout: PATIENCE,
  env: { ...process.env, NODE_OPTIONS: '', NODE_CHANNEL_FD: undefined, NODE_UNIQUE_ID: undefined },
});

const sameFault = (stderr: string, { message }: Error): SyntaxFault | undefined =>
  stderr.includes(message) ? faultIn(stderr, message) : undefined;

/**
 * The same, looked for from the module that was being loaded where the error does not tell it: another process does that, so that
 * nothing runs twice, and this one waits.
 */
export function syntaxFaultFrom(error: unknown, entry: string): SyntaxFault | undefined {
  if (!isUntold(error)) return syntaxFault(error);
  return sameFault(spawnSync(...command(entry), options()).stderr ?? '', error);
}

/** The same, for a process that may not wait. */
export function findSyntaxFault(error: unknown, entry: string | undefined): Promise<SyntaxFault | undefined> {
  if (entry === undefined || !isUntold(error)) return Promise.resolve(syntaxFault(error));
  return new Promise((resolve) => {
    execFile(...command(entry), options(), (_failure, _stdout, stderr) => resolve(sameFault(stderr, error)));
  });
}
