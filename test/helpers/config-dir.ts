import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { loadConfig, type LoadedConfig, type LoadRequest } from '../../lib/config/load.js';
import { ClusterError } from '../../lib/kit/errors.js';

export type Files = Record<string, string | object>;

/** A directory with these files (objects as JSON), gone after the test. */
export function directory(t: TestContext, files: Files = {}): string {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'config-')));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  write(dir, files);
  return dir;
}

export function write(dir: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(dir, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  }
}

/** Loads with an empty environment, so that the one of the test run does not matter. */
export const load = (dir: string, request: LoadRequest = {}): Promise<LoadedConfig> =>
  loadConfig({ target: dir, cwd: dir, env: {}, ...request });

/** An app with this configuration in `.clusterrc`. */
export const withConfig = (t: TestContext, config: object, files: Files = {}): string =>
  directory(t, { 'app.js': '', '.clusterrc': config, ...files });

/** The message of the refusal; fails when there is none, or when it is no ClusterError. */
export async function refusal(loading: Promise<unknown>, code = 'ERR_CLUSTER_CONFIG'): Promise<string> {
  const error: unknown = await loading.then(() => undefined, (reason: unknown) => reason);
  if (!(error instanceof ClusterError)) throw new Error(`expected a ClusterError, got ${String(error)}`, { cause: error });
  if (error.code !== code) throw new Error(`expected ${code}, got ${error.code}: ${error.message}`);
  return error.message;
}
