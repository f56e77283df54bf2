import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from './cluster.js';

/** A folder of an app (CommonJS), and of plugins of which each is the worker's part, in their order; `config`: the rest of `.clusterrc`. */
export function appWith(
  t: Scope, app: string, parts: Record<string, string>, { plugins = {}, ...config }: { plugins?: object; workers?: number } = {},
): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hr-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(path.join(dir, 'app.cjs'), app);
  writeFileSync(path.join(dir, 'package.json'), '{"main": "app.cjs"}');
  for (const [name, part] of Object.entries(parts)) {
    writeFileSync(path.join(dir, `${name}-part.mjs`), `export default (runtime) => { ${part} };`);
    writeFileSync(path.join(dir, `${name}.mjs`), `export default {
      name: '${name}', apply: (master) => master.inject('worker', new URL('./${name}-part.mjs', import.meta.url)),
    };`);
  }
  const own = Object.fromEntries(Object.keys(parts).map((name) => [`./${name}.mjs`, true]));
  writeFileSync(path.join(dir, '.clusterrc'), JSON.stringify({ workers: 1, ...config, plugins: { ...plugins, ...own } }));
  return dir;
}
