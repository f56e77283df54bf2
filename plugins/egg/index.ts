import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { definePlugin, type Master } from '../../lib/index.js';
import { tellEgg } from './messages.js';
import { schema, type EggOptions } from './options.js';

export type { EggOptions } from './options.js';

const NAME = 'egg';
const part = (name: string) => new URL(`./${name}.cjs`, import.meta.url);

interface Manifest {
  name?: unknown;
  version?: unknown;
  main?: unknown;
  egg?: { framework?: unknown; typescript?: unknown };
  dependencies?: Record<string, unknown>;
}

/** What package.json says of an app: that it is Egg's, and which framework on Egg it has. Asked before the configuration is whole. */
export function frameworkOf({ manifest, dir }: { manifest: Manifest; dir: string }): { framework: string; where: string } | undefined {
  const { egg, dependencies, main } = manifest;
  if (typeof egg?.framework === 'string') return { framework: egg.framework, where: 'package.json: egg.framework' };
  if (egg !== undefined) return { framework: NAME, where: 'package.json: egg' };
  // What starts by a module of its own knows how.
  const startsByItself = typeof main === 'string' && existsSync(path.join(dir, main));
  return dependencies?.egg === undefined || startsByItself ? undefined : { framework: NAME, where: 'package.json: dependencies.egg' };
}

/** What Egg's apps begin with where their configuration says nothing else: they may take their time to start. */
export const defaults = { startTimeout: 300_000 };

/** An Egg application runs as it is, Egg 3 and 4 and frameworks on them: its messages, its options, its configuration. */
export default definePlugin<EggOptions>({
  name: NAME,
  schema,
  async apply(master, options) {
    const framework = frameworkFolder(master);
    if (framework === null) {
      master.logger.warn('the plugin egg has nothing to do: there is no framework');
      return;
    }
    const given = { framework, plugins: null, startMode: 'process', ports: [], env: process.env.EGG_SERVER_ENV, ...options.options };
    const { debugPort, ports, asEggCluster } = options;
    master.inject('worker', part('worker'), { given, debugPort, ports, asEggCluster });
    master.inject('agent', part('agent'), { given, asEggCluster }, { passive: true });
    takeTimeouts(master);
    tellEgg(master, given, debugPort);
    if (options.pidFile !== undefined) keepPid(master, options.pidFile);
    loadTypeScript(master);
    if (!asEggCluster) return;
    const { behave } = await import('./as-egg-cluster.js');
    behave(master, { given, debugPort, ...readManifest(framework) });
  },
});

function frameworkFolder({ target: { entry } }: Master): string | null {
  if (entry.framework === undefined) return null;
  let dir = path.dirname(entry.framework);
  // Builds leave others, without a name.
  while (readManifest(dir).name === undefined && path.dirname(dir) !== dir) dir = path.dirname(dir);
  return dir;
}

function readManifest(dir: string): Manifest {
  try {
    return JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8')) as Manifest;
  } catch {
    return {};
  }
}

/** Milliseconds, as those who run Egg know them; they rank before graceful-exit's options. */
function takeTimeouts({ deadlines }: Master): void {
  const { EGG_MASTER_CLOSE_TIMEOUT: both, EGG_APP_CLOSE_TIMEOUT: app = both, EGG_AGENT_CLOSE_TIMEOUT: agent = both } = process.env;
  if (Number(app) > 0) deadlines.drain = Number(app);
  if (Number(agent) > 0) deadlines.agent = Number(agent);
}

function keepPid({ hooks }: Master, pidFile: string): void {
  const file = path.resolve(pidFile);
  hooks.beforeStart.tap(NAME, () => {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, String(process.pid));
  });
  hooks.closed.tap(NAME, () => {
    // Another master may have written its own since.
    if (existsSync(file) && readFileSync(file, 'utf8').trim() === String(process.pid)) rmSync(file, { force: true });
  });
}

/** An app that is there in TypeScript alone is loaded by the app's own tsx; one that was compiled needs nothing. */
function loadTypeScript(master: Master): void {
  const { realDir } = master.target;
  const inConfig = (extension: string) => existsSync(path.join(realDir, `config/config.default.${extension}`));
  if (!inConfig('ts') || inConfig('js')) return;
  let tsx: string;
  try {
    tsx = pathToFileURL(createRequire(`${realDir}/`).resolve('tsx')).href;
  } catch {
    master.logger.warn('the app is TypeScript that was not compiled: install tsx in it (npm install tsx), or compile it');
    return;
  }
  for (const hook of [master.hooks.beforeForkAgent, master.hooks.beforeForkWorker]) {
    hook.tap(NAME, ({ env, execArgv }) => {
      env.EGG_TYPESCRIPT ??= 'true';
      execArgv.push('--import', tsx);
    });
  }
}
