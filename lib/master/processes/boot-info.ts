import { originOf } from '../../config/merge.js';
import { HTTPS_PORT, defaults } from '../../config/schema.js';
import type { BootInfo, Entry, PartSpec } from '../../ipc/messages.js';
import type { ChildRole } from '../../ipc/messages.js';
import type { Release } from './crew.js';

/** All that a child is told, from a release's configuration. */
export function bootInfo(role: ChildRole, slot: number, release: Release, parts: PartSpec[], hasAgent: boolean, timeout: number): Omit<BootInfo, 'id'> {
  const { generation, loaded: { config, target } } = release;
  const { title, port, host, path, https, balance, log } = config;
  return {
    role,
    slot,
    generation,
    processTitle: role === 'agent' ? `${title}: agent` : `${title}: worker#${slot}`,
    timeout,
    baseDir: target.realDir,
    entry: entryOf(role, release),
    parts,
    listen: { port, host, path, https, reusePort: balance === 'reuse-port' },
    log,
    config: { ...config },
    hasAgent,
  };
}

function entryOf(role: ChildRole, { loaded, clusterPort }: Release): Entry {
  const { entry: { app, agent, framework }, realDir: baseDir } = loaded.target;
  if (framework) {
    const { title, workers, https } = loaded.config;
    return { kind: 'framework', file: framework, options: { baseDir, framework, title, workers, port: chosenPort(loaded), clusterPort, https } };
  }
  if (role === 'agent') return typeof agent === 'string' ? { kind: 'agent', file: agent } : { kind: 'none' };
  return app ? { kind: 'app', file: app } : { kind: 'none' };
}

/** The port, where somebody chose it: else the framework's own configuration may. */
const chosenPort = ({ config: { port }, provenance }: Release['loaded']): number | undefined =>
  originOf(provenance, ['port']).from === 'default' && [defaults.port, HTTPS_PORT].includes(port) ? undefined : port;
