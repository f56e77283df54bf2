import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { isTypeScript, stripsTypes } from './typescript.js';

/** Milliseconds. */
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

/**
 * Adds file, line and code to a syntax error in an ES module, which Node knows, but shows only where it ends the process by
 * itself; and a hint where TypeScript is at the bottom of it.
 */
export function explainSyntaxError(error: unknown, entry: string): void {
  if (!(error instanceof SyntaxError) || error.stack === undefined) return;
  if (/^SyntaxError: .*\n +at compileSourceTextModule /.test(error.stack)) locate(error, entry);
  if (isTypeScript(entry) && stripsTypes) error.stack += `\n\nNode.js ${process.version} strips types and compiles nothing: for decorators, enums and the like install tsx in the app and set \`import: ["tsx"]\``;
}

/** Another process looks for the place, so that nothing of the app runs twice. */
function locate(error: SyntaxError, entry: string): void {
  const { stderr } = spawnSync(process.execPath, ['--no-warnings', '--experimental-vm-modules', '-e', PARSE_ALL, pathToFileURL(entry).href], {
    encoding: 'utf8',
    timeout: PATIENCE,
    env: { ...process.env, NODE_OPTIONS: '', NODE_CHANNEL_FD: undefined, NODE_UNIQUE_ID: undefined },
  });
  const place = /^(?:file:\S+:\d+)\n.*\n *\^+\n/.exec(stderr ?? '')?.[0];
  if (place && stderr.includes(error.message)) error.stack = `${place}\n${error.stack}`;
}
