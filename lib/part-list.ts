import { pathToFileURL } from 'node:url';
import { ClusterError } from './errors.js';
import type { PartSpec } from './ipc/boot-info.js';
import type { ChildRole } from './ipc/messages.js';

/** The plugins' parts for the other processes. */
export class PartList {
  readonly #parts: Record<ChildRole, PartSpec[]> = { worker: [], agent: [] };
  /** A part asks for an agent. */
  wantsAgent = false;

  of(role: ChildRole): PartSpec[] {
    return this.#parts[role];
  }

  /** @throws ClusterError ERR_CLUSTER_NOT_CLONEABLE, here and not where the options break */
  add(plugin: string, role: ChildRole, url: string, options: unknown, passive: boolean): void {
    try {
      structuredClone(options);
    } catch (error) {
      throw new ClusterError('ERR_CLUSTER_NOT_CLONEABLE', `plugin "${plugin}", inject("${role}", ${url}): the options cannot be sent to a child: ${(error as Error).message}`, { cause: error });
    }
    if (role === 'agent' && !passive) this.wantsAgent = true;
    this.#parts[role].push({ plugin, url: /^[a-z]{2,}:/.test(url) ? url : pathToFileURL(url).href, options });
  }
}
