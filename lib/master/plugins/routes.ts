import type { Route } from '../../api/control.js';
import { ClusterError } from '../../kit/errors.js';
import { owned } from '../../kit/faults.js';
import { isObject, show } from '../../kit/misuse.js';

/** Answered on the control socket before any plugin is asked (control/server.ts). */
const OWN = ['/reload', '/scale', '/stop'];
const METHODS: readonly unknown[] = ['GET', 'POST'];

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
    const owner = OWN.includes(route.path) ? 'the control socket' : this.#owners.get(name);
    if (owner === plugin) throw refused(`${name} is given twice`);
    if (owner !== undefined) throw refused(`${name} belongs to ${OWN.includes(route.path) ? owner : `plugin "${owner}"`} already`);
    this.#owners.set(name, plugin);
    const { method, path, open, handler } = route;
    this.list.push({ method, path, open, handler: owned(handler) });
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
  const { method, path, open, handler } = route;
  if (!METHODS.includes(method)) return `expected "GET" or "POST" as the method, found ${show(method)}`;
  if (typeof path !== 'string' || !/^\/[\w\-.~%!$&'()*+,;=:@/]*$/.test(path)) return `expected a path such as "/mine", found ${show(path)}`;
  if (!isReached(path)) return `expected a path as clients send it, found ${show(path)}: no request ever has it`;
  if (typeof open !== 'boolean') return `${path}: expected true or false as \`open\`, found ${show(open)}`;
  if (typeof handler !== 'function') return `${path}: expected a function as the handler, found ${show(handler)}`;
  return undefined;
}
