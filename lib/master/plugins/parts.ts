import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Route } from '../../api/control.js';
import { packageFolder } from '../../config/modules.js';
import type { ChildRole, PartSpec } from '../../ipc/messages.js';
import { ClusterError } from '../../kit/errors.js';
import { owned } from '../../kit/faults.js';
import { isObject, show } from '../../kit/misuse.js';
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

/** Answered on the control socket before any plugin is asked (control/server.ts); the first one may be another's on the health port. */
const OWN = ['/status', '/reload', '/scale', '/stop', '/launch'];
const METHODS: readonly unknown[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Paths that plugins answer; each belongs to one of them. */
export class Routes {
  /** What the control socket and the health port look at. */
  readonly list: Route[] = [];
  readonly #owners = new Map<string, string>();

  /** @throws ClusterError ERR_CLUSTER_PLUGIN: malformed, or somebody else's */
  add(plugin: string, route: Route): void {
    const refused = (what: string) => new ClusterError('ERR_CLUSTER_PLUGIN', `plugin "${plugin}", route: ${what}`);
    const fault = faultOf(route);
    if (fault) throw refused(fault);
    const name = `${route.method} ${route.path}`;
    if (OWN.includes(route.path) && !(route.open && route.path === '/status')) {
      const hint = route.path === '/status' ? '; to add to what it tells, tap collectStatus' : '';
      throw refused(`${name} belongs to the control socket already${hint}`);
    }
    const owner = this.#owners.get(name);
    if (owner === plugin) throw refused(`${name} is given twice`);
    if (owner !== undefined) throw refused(`${name} belongs to plugin "${owner}" already`);
    this.#owners.set(name, plugin);
    const { method, path, open, tells, handler } = route;
    const answers = owned(handler);
    this.list.push({ method, path, open, tells, handler: async (query, request) => {
      const answer = await answers(query, request);
      if (!isObject(answer)) throw new TypeError(`plugin "${plugin}", ${name}: expected an answer such as { body }, found ${show(answer)}`);
      return answer;
    } });
  }
}

/** Whether a request for it comes as it is written: no dots that are resolved, no second host, no letters in disguise. */
function isReached(path: string): boolean {
  if (path.startsWith('//') || !URL.canParse(path, 'http://host')) return false;
  const { pathname } = new URL(path, 'http://host');
  return pathname === path && !/%(?![\dA-F]{2})/.test(path) && encodeURI(decoded(path)) === path;
}

function decoded(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    return '';
  }
}

function faultOf(route: unknown): string | undefined {
  if (!isObject(route)) return `expected { method, path, open, handler }, found ${show(route)}`;
  const { method, path, open, tells, handler } = route;
  if (!METHODS.includes(method)) return `expected one of ${METHODS.map(show).join(', ')} as the method, found ${show(method)}`;
  if (typeof path !== 'string' || !/^\/[\w\-.~%!$&'()*+,;=:@/]*$/.test(path)) return `expected a path such as "/mine", found ${show(path)}`;
  if (!isReached(path)) return `expected a path as clients send it, found ${show(path)}: no request ever has it`;
  if (typeof open !== 'boolean') return `${path}: expected true or false as \`open\`, found ${show(open)}`;
  if (tells !== undefined && typeof tells !== 'string') return `${path}: expected a text as \`tells\`, found ${show(tells)}`;
  if (typeof handler !== 'function') return `${path}: expected a function as the handler, found ${show(handler)}`;
  return undefined;
}
