import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ChildRole, PartSpec } from '../../ipc/messages.js';
import { ClusterError } from '../../kit/errors.js';

/** The plugins' parts for the other processes. */
export class Parts {
  readonly #parts: Record<ChildRole, PartSpec[]> = { worker: [], agent: [] };
  /** A part asks for an agent. */
  wantAgent = false;

  of(role: ChildRole): PartSpec[] {
    return this.#parts[role];
  }

  /** @throws ClusterError ERR_CLUSTER_NOT_CLONEABLE, _PLUGIN: here and not where the part breaks */
  add(plugin: string, role: ChildRole, url: string, options: unknown, passive: boolean): void {
    const call = `plugin "${plugin}", inject("${role}", ${url})`;
    const parts = Object.hasOwn(this.#parts, role) ? this.#parts[role] : undefined;
    if (!parts) {
      const roles = Object.keys(this.#parts).map((one) => `"${one}"`).join(' or ');
      throw new ClusterError('ERR_CLUSTER_PLUGIN', `${call}: expected ${roles} as the role`);
    }
    try {
      structuredClone(options);
    } catch (error) {
      throw new ClusterError('ERR_CLUSTER_NOT_CLONEABLE',
        `${call}: the options cannot be sent to a child: ${(error as Error).message}`, { cause: error });
    }
    const part = { plugin, url: /^[a-z]{2,}:/.test(url) ? url : pathToFileURL(url).href, options };
    if (part.url.startsWith('file:') && !existsSync(fileURLToPath(part.url))) {
      throw new ClusterError('ERR_CLUSTER_PLUGIN',
        `${call}: there is no file ${fileURLToPath(part.url)}; expected a module URL such as new URL("./part.js", import.meta.url)`);
    }
    if (role === 'agent' && !passive) this.wantAgent = true;
    parts.push(part);
  }
}
