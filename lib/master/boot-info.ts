import type { BootInfo, Entry, PartSpec } from '../ipc/boot-info.js';
import type { ChildRole } from '../ipc/messages.js';
import type { Release } from './crew.js';

/** All that a child is told, from a release's configuration. */
export function bootInfo(role: ChildRole, slot: number, { generation, loaded }: Release, parts: PartSpec[], hasAgent: boolean, timeout: number): Omit<BootInfo, 'id'> {
  const { config, target } = loaded;
  const { title, port, host, path, https, balance, log } = config;
  return {
    role,
    slot,
    generation,
    processTitle: role === 'agent' ? `${title}: agent` : `${title}: worker#${slot}`,
    timeout,
    baseDir: target.realDir,
    entry: entryOf(role, loaded),
    parts,
    listen: { port, host, path, https, reusePort: balance === 'reuse-port' },
    log,
    config: { ...config },
    hasAgent,
  };
}

function entryOf(role: ChildRole, { config, target: { entry, realDir } }: Release['loaded']): Entry {
  const { app, agent, framework } = entry;
  if (framework) {
    const { title, workers, port, https, env } = config;
    return { kind: 'framework', file: framework, options: { baseDir: realDir, framework, title, workers, port, clusterPort: undefined, https, env } };
  }
  if (role === 'agent') return typeof agent === 'string' ? { kind: 'agent', file: agent } : { kind: 'none' };
  return app ? { kind: 'app', file: app } : { kind: 'none' };
}
