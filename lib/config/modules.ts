import { once } from 'node:events';
import { readFileSync, realpathSync, statSync, type Stats } from 'node:fs';
import module, { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { contained } from '../kit/faults.js';
import { importModule } from '../kit/import-module.js';
import { isObject } from '../kit/misuse.js';

export const isFile = (file: string): boolean => look(file)?.isFile() ?? false;
export const isDirectory = (dir: string): boolean => look(dir)?.isDirectory() ?? false;

/** What cannot be looked at, or can be no path, is as good as not there. */
function look(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch {
    return undefined;
  }
}

export const isPath = (specifier: string): boolean => /^\.{1,2}(?:[\\/]|$)/.test(specifier) || path.isAbsolute(specifier);

/** The folder of an installed package, looked for as Node does, from `from` upwards. Own walk, as `exports` may hide package.json. */
export function packageFolder(name: string, from: string): string | undefined {
  for (let dir = from; ; dir = path.dirname(dir)) {
    const folder = path.join(dir, 'node_modules', name);
    if (isDirectory(folder)) return realpathSync(folder);
    if (path.dirname(dir) === dir) return undefined;
  }
}

export function readPackage(dir: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8').replace(/^\uFEFF/, ''));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** The folder that holds the package.json a file belongs to. */
export function folderOf(file: string): string {
  let dir = path.dirname(file);
  while (!isFile(path.join(dir, 'package.json')) && path.dirname(dir) !== dir) dir = path.dirname(dir);
  return dir;
}

/** The package that a file belongs to; a package.json that a build leaves in a folder tells a `type`, and no name. */
export function packageOf(file: string): string {
  const folder = folderOf(file);
  const { name, type } = readPackage(folder);
  return name === undefined && type !== undefined && path.dirname(folder) !== folder ? packageOf(folder) : folder;
}

/**
 * The file behind a path (with or without extension, or a folder) or a package name, as a module in `dir` would get it.
 * Own walk before Node's, which remembers what it resolved: a reload has to follow a link that points elsewhere now.
 */
export function resolveModule(specifier: string, dir: string): string | undefined {
  const kinds: Kind[] = readPackage(dir).type === 'module' ? ['import', 'require'] : ['require', 'import'];
  const attempts = isPath(specifier)
    ? [() => resolvePath(path.resolve(dir, specifier))]
    : [
      ...kinds.map((kind) => () => resolveInstalled(specifier, dir, kind)),
      () => createRequire(path.join(realpathSync(dir), 'noop.js')).resolve(specifier),
    ];
  for (const attempt of attempts) {
    try {
      const file = attempt();
      if (file) return realpathSync(file);
    } catch {
      // Not this way.
    }
  }
  return undefined;
}

const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs', '.cjs'];

/** A path as it stands, with an extension, or the main module of a folder. */
export function resolvePath(target: string): string | undefined {
  const file = [target, ...EXTENSIONS.map((extension) => target + extension)].find(isFile);
  if (file || !isDirectory(target)) return file;
  const { main } = readPackage(target);
  const inside = typeof main === 'string' ? resolvePath(path.join(target, main)) : undefined;
  return inside ?? EXTENSIONS.map((extension) => path.join(target, `index${extension}`)).find(isFile);
}

type Kind = 'import' | 'require';

/** What an installed package gives for `name` or `name/inside`. */
function resolveInstalled(specifier: string, dir: string, kind: Kind): string | undefined {
  const [, name, rest = ''] = /^(@[^/]+\/[^/]+|[^/]+)(\/.+)?$/.exec(specifier) ?? [];
  const folder = name && packageFolder(name, dir);
  if (!folder) return undefined;
  const { exports } = readPackage(folder);
  if (exports === undefined) return resolvePath(path.join(folder, rest));
  const byPath = isObject(exports) && Object.keys(exports).some((key) => key.startsWith('.'));
  const map = byPath ? exports[`.${rest}`] : rest ? undefined : exports;
  const target = chosen(map, kind);
  return target && path.join(folder, target);
}

/** The first of conditional exports that holds here. */
function chosen(value: unknown, kind: Kind): string | undefined {
  if (typeof value === 'string') return value;
  const holds = (key: string) => ['node', 'module-sync', 'default', kind].includes(key);
  const options = Array.isArray(value) ? value as unknown[]
    : isObject(value) ? Object.keys(value).filter(holds).map((key) => value[key])
      : [];
  return options.map((option) => chosen(option, kind)).find(Boolean);
}

let imports = 0;

/**
 * The default export of a JavaScript or TypeScript file, read anew at each call, as a reload has to see what was edited.
 * What an ES module imports in turn is anew as well where Node has `module.registerHooks` (22.15 and later, 23.5 and later).
 */
export async function freshImport(link: string): Promise<unknown> {
  // Node remembers where links led; `current` may point to another release by now.
  const file = realpathSync(link);
  return inPatience(() => exportOf(file));
}

/** What code of a configuration gives, in its time. */
export const inPatience = (code: () => unknown): Promise<unknown> => contained(() => settled((async () => code())()));

/** It may be a promise. */
async function exportOf(file: string): Promise<unknown> {
  const namespace = await (/\.[mc]?ts$/.test(file) ? importTypeScript(file) : importNative(file));
  const exported = 'default' in namespace ? namespace.default : namespace;
  // Compiled to CommonJS, `export default` is one step further in.
  return isNamespace(exported) && exported.__esModule && 'default' in exported ? exported.default : exported;
}

/** Milliseconds that a module of the user's may take to load, and what it exports, or returns, to settle. */
const PATIENCE = 30_000;

/**
 * A module that awaits what never comes, or exports it, with nothing left to run, would end the process with exit code 0 and no
 * word; with something left to run, a start or a reload would wait for ever.
 */
async function settled<T>(loading: Promise<T>): Promise<T> {
  const left = new AbortController();
  const { signal } = left;
  const idle = once(process, 'beforeExit', { signal });
  const late = delay(PATIENCE, undefined, { ref: false, signal });
  const never = (after: Promise<unknown>, what: string) => after.then(() => { throw new Error(what); });
  try {
    return await Promise.race([
      loading,
      never(idle, 'it never finishes loading: a top-level await, or a promise that it exports or returns, waits for what does not come'),
      never(late, `it did not finish loading within ${PATIENCE} ms: `
      + 'a top-level await, or a promise that it exports or returns, takes too long'),
    ]);
  } finally {
    left.abort();
  }
}

type Namespace = Record<string, unknown>;
const isNamespace = (value: unknown): value is Namespace => typeof value === 'object' && value !== null;

async function importNative(file: string): Promise<Namespace> {
  if (isCommonJs(file)) return requireAnew(file);
  const mark = `?fresh=${++imports}`;
  const format = asModule(file);
  const hooks = followInto(mark, format);
  if (format && !hooks) {
    throw new Error('it is an ES module by its syntax, and CommonJS by "type" in package.json: '
      + `name it ${path.parse(file).name}.mjs, or write module.exports`);
  }
  try {
    return await importModule(pathToFileURL(file).href + mark) as Namespace;
  } finally {
    hooks?.deregister();
  }
}

interface ResolveContext { parentURL?: string }
interface Resolved { url: string; format?: string | null; shortCircuit?: boolean }
type Resolve = (specifier: string, context: ResolveContext) => Resolved;
type RegisterHooks = (hooks: { resolve(...given: [...Parameters<Resolve>, next: Resolve]): Resolved }) => { deregister(): void };

/**
 * The format to load a file as whose syntax says ES module while its package says CommonJS, as `npm init` has it say today;
 * Node would refuse it.
 */
function asModule(file: string): string | undefined {
  const ts = file.endsWith('.ts');
  const mismatched = (ts || file.endsWith('.js')) && readPackage(folderOf(file)).type === 'commonjs' && hasModuleSyntax(file);
  return mismatched ? (ts ? 'module-typescript' : 'module') : undefined;
}

/** Hands the mark of a module on to what it imports, packages excepted. */
function followInto(mark: string, format: string | undefined) {
  const { registerHooks } = module as { registerHooks?: RegisterHooks };
  return registerHooks?.({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      if (format && specifier.endsWith(mark)) return { ...resolved, format };
      const { url } = resolved;
      const ours = context.parentURL?.endsWith(mark) && url.startsWith('file:') && !url.includes('/node_modules/') && !url.includes('?');
      return ours && /\.(m?js|m?ts)$/.test(url) ? { ...resolved, url: url + mark } : resolved;
    },
  });
}

/** Where neither extension nor package.json says what a file is, its first import or export does. */
function isCommonJs(file: string): boolean {
  if (path.extname(file) === '.cjs') return true;
  if (path.extname(file) !== '.js' || readPackage(folderOf(file)).type === 'module') return false;
  return !hasModuleSyntax(file);
}

const hasModuleSyntax = (file: string): boolean => /^\s*(?:import\s*[\w{*'"]|export\s*[\w{*])/m.test(readFileSync(file, 'utf8'));

/**
 * A CommonJS file and what it requires, packages excepted. By require, which keeps modules by file name whatever query an
 * import adds; an import of one whose required files were forgotten too was not anew on Node 24 and 26 (config-fresh.test.ts).
 */
function requireAnew(file: string): Namespace {
  const require = createRequire(file);
  const forget = (name: string) => {
    const known = require.cache[name];
    if (!known || name.includes(`${path.sep}node_modules${path.sep}`)) return;
    delete require.cache[name];
    for (const child of known.children) forget(child.filename);
  };
  forget(file);
  return { default: require(file) as unknown };
}

const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

export class NoTypeScript extends Error {}

async function importTypeScript(file: string): Promise<Namespace> {
  if (stripsTypes) return importNative(file);
  const api = findTsx(file);
  if (!api) {
    throw new NoTypeScript(`this Node.js (${process.version}) cannot run TypeScript by itself: `
      + 'install tsx beside it, or use Node.js 22.18 or later');
  }
  const { tsImport } = await importModule(pathToFileURL(api).href) as { tsImport(specifier: string, parent: string): Promise<Namespace> };
  const url = pathToFileURL(file).href;
  return tsImport(url, url);
}

/** The app's own tsx first. */
const findTsx = (file: string): string | undefined => [file, import.meta.filename]
  .map((from) => resolveInstalled('tsx/esm/api', path.dirname(from), 'import'))
  .find(Boolean);
