import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { packageFolder } from '../../config/modules.js';
import type { ChildRole, PartSpec } from '../../ipc/messages.js';
import { ClusterError } from '../../kit/errors.js';
import { packageRoot } from '../../kit/package.js';

interface Part extends PartSpec {
  /** Null: a URL of another kind. */
  file: string | null;
  /** The app's directory when the part was given. */
  from: string;
}

/** The plugins' parts for the other processes. */
export class Parts {
  readonly #parts: Record<ChildRole, Part[]> = { worker: [], agent: [] };
  /** A part asks for an agent. */
  wantAgent = false;

  /**
   * For a process of the release in directory `to`, and of the package in `root`: what lies in a release, or in a package of
   * its, is taken from that of the process, as the one that the plugin was loaded from may be gone.
   * @throws ClusterError ERR_CLUSTER_PLUGIN: it is nowhere any more
   */
  of(role: ChildRole, to: string, root: string): PartSpec[] {
    return this.#parts[role].map(({ plugin, options, url, file, from }) =>
      ({ plugin, options, url: file === null ? url : pathToFileURL(found(plugin, file, from, to, root)).href }));
  }

  /** @throws ClusterError ERR_CLUSTER_NOT_CLONEABLE, _PLUGIN: here and not where the part breaks */
  add({ plugin, url: given, options, passive }: PartSpec & { passive: boolean }, role: ChildRole, from: string): void {
    const call = `plugin "${plugin}", inject("${role}", ${given})`;
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
    const url = /^[a-z]{2,}:/.test(given) ? given : pathToFileURL(given).href;
    const file = url.startsWith('file:') ? fileURLToPath(url) : null;
    if (file !== null && !existsSync(file)) {
      throw new ClusterError('ERR_CLUSTER_PLUGIN',
        `${call}: there is no file ${file}; expected a module URL such as new URL("./part.js", import.meta.url)`);
    }
    if (role === 'agent' && !passive) this.wantAgent = true;
    parts.push({ plugin, url, options, file, from });
  }
}

function found(plugin: string, file: string, from: string, to: string, root: string): string {
  const own = below(file, packageRoot);
  if (own !== null) return path.join(root, own);
  if (from === to) return file;
  const place = inPackage(file, to) ?? inRelease(file, from, to) ?? file;
  if (existsSync(place)) return place;
  throw new ClusterError('ERR_CLUSTER_PLUGIN', `plugin "${plugin}": its part ${file} is gone, and there is none in its place in ${to}`);
}

/** `node_modules/NAME/rest`, as the release has the package now, be it of another version. */
function inPackage(file: string, to: string): string | null {
  const [, name, rest] = /^.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)[\\/](.+)$/.exec(file) ?? [];
  const folder = name === undefined ? undefined : packageFolder(name, to);
  const place = folder === undefined || rest === undefined ? null : path.join(folder, rest);
  return place !== null && existsSync(place) ? place : null;
}

/** The same path in the other release: of `releases/1/web` and `releases/2/web` all that lies in 1 has its like in 2. */
function inRelease(file: string, from: string, to: string): string | null {
  let [one, other] = [from, to];
  while (path.basename(one) === path.basename(other) && path.dirname(one) !== one) [one, other] = [path.dirname(one), path.dirname(other)];
  const rest = below(file, one);
  const place = rest === null ? null : path.join(other, rest);
  return place !== null && existsSync(place) ? place : null;
}

const below = (file: string, dir: string): string | null =>
  file.startsWith(dir + path.sep) ? file.slice(dir.length + 1) : null;
