import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from './cluster.js';

/** An app of a test's own, whose code it changes while it runs. */
export function ownApp(
  scope: Scope, files: Record<string, string | object>,
): { dir: string; write(name: string, content: string | object): void } {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ha-'));
  scope.after(() => rmSync(dir, { recursive: true, force: true }));
  const write = (name: string, content: string | object) =>
    writeFileSync(path.join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));
  for (const [name, content] of Object.entries(files)) write(name, content);
  return { dir, write };
}

/** A server that answers with `text`; `before` runs first. */
export const answering = (text: string, before = ''): string => `${before}
require('node:http').createServer((request, response) => {
  const answer = () => response.end(JSON.stringify({ text: ${JSON.stringify(text)}, pid: process.pid }));
  setTimeout(answer, Number(new URL(request.url, 'http://x').searchParams.get('delay') ?? 0));
}).listen(process.env.PORT);
`;
