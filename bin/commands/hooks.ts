import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ChildRole, PartSpec } from '../../lib/ipc/messages.js';
import { built } from '../../lib/kit/package.js';
import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import type { DryAnswer, DryRequest } from '../dry-parts.js';
import type { Flags } from '../flags.js';
import { answer } from '../output.js';
import { table } from '../table.js';
import { readFlags, readRequest } from './config.js';

const ROLES: readonly ChildRole[] = ['worker', 'agent'];
/** Milliseconds for the parts of a role, all together. */
const PATIENCE = 20_000;

export class HooksCommand extends Command {
  override get description(): string { return 'print plugins and hooks, who taps them in which order, parts and routes'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get takesArguments(): boolean { return true; }

  override get flags(): Flags { return readFlags; }

  override async run({ argv }: Context): Promise<void> {
    const { loadConfig } = await import('../../lib/config/load.js');
    const { Bootstrap } = await import('../../lib/master/bootstrap.js');
    const { noteOfHook } = await import('../../lib/api/hooks.js');
    const loaded = await loadConfig(readRequest(argv, this));
    // What plugins say while they are applied is no part of the answer.
    const silent = { ...loaded, config: { ...loaded.config, log: { ...loaded.config.log, level: 'silent' as const } } };
    const bootstrap = new Bootstrap(silent, { dry: true });
    await bootstrap.prepare();
    const hooks = Object.entries(bootstrap.hooks).map(([name, hook]) => ({
      hook: name,
      // A bundler numbers classes whose names it meets twice.
      type: hook.constructor.name.replace(/\d+$/, ''),
      kind: noteOfHook(hook).kind,
      taps: [...new Set(hook.taps.map((tap) => tap.name))],
    }));
    const parts = ROLES.flatMap((role) => bootstrap.parts(role).map(({ plugin, url }) => ({ in: role, plugin, url })));
    const runtime = [];
    for (const role of ROLES) {
      const { taps, failed } = await dry({ role, config: { ...bootstrap.config }, parts: bootstrap.parts(role) });
      runtime.push(...Object.entries(taps).map(([hook, plugins]) => ({ in: role, hook, taps: plugins })));
      for (const part of parts) if (part.in === role && failed[part.plugin]) Object.assign(part, { failed: failed[part.plugin] });
    }
    const routes = bootstrap.routes.map(({ method, path, open, tells }) => ({ method, path, open, tells }));
    const { plugins } = bootstrap;
    answer({ plugins, hooks, parts, runtime, routes }, await page({ plugins, hooks, parts, runtime, routes }), 2);
    // A plugin may have left a timer running.
    process.exit(0);
  }
}

interface Shown {
  plugins: readonly string[];
  hooks: readonly { hook: string; type: string; kind: string; taps: readonly string[] }[];
  parts: readonly { in: string; plugin: string; url: string; failed?: string }[];
  runtime: readonly { in: string; hook: string; taps: readonly string[] }[];
  routes: readonly { method: string; path: string; open: boolean; tells?: string }[];
}

async function page({ plugins, hooks, parts, runtime, routes }: Shown): Promise<string> {
  const list = (names: readonly string[]): string => names.join(', ') || '-';
  const file = (url: string): string => url.startsWith('file:') ? fileURLToPath(url) : url;
  const none = parts.length === 0 ? [] : [
    await table(['part', 'in', 'module'],
      parts.map(({ plugin, in: role, url, failed }) => [plugin, role, failed === undefined ? file(url) : `failed: ${failed}`])),
    await table(['runtime hook', 'in', 'taps'], runtime.map((one) => [one.hook, one.in, list(one.taps)])),
  ];
  return [
    `plugins, in the order in which they are applied: ${list(plugins)}`,
    await table(['hook', 'tapable', 'kind', 'taps'], hooks.map(({ hook, type, kind, taps }) => [hook, type, kind, list(taps)])),
    ...none,
    await table(['route', 'open', 'tells'],
      routes.map(({ method, path, open, tells }) => [`${method} ${path}`, open ? 'yes' : 'no', tells ?? '-'])),
  ].join('\n\n');
}

/** What parts tap is known when they have run. */
async function dry(request: DryRequest): Promise<DryAnswer> {
  const nothing: DryAnswer = { taps: {}, failed: {} };
  if (request.parts.length === 0) return nothing;
  const child = fork(built('bin/dry-parts.cjs'), { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], serialization: 'advanced', execArgv: [] });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  try {
    child.on('error', () => {});
    const exited = once(child, 'exit').then(() => undefined);
    child.send(request, () => {});
    const [answer] = await Promise.race([once(child, 'message') as Promise<[DryAnswer]>, exited]) ?? [];
    const ended = ({ plugin }: PartSpec) => [plugin, 'the process of the parts has ended'];
    return answer ?? { taps: {}, failed: Object.fromEntries(request.parts.map(ended)) };
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
  }
}
