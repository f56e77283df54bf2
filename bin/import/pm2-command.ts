import { readFileSync } from 'node:fs';
import path from 'node:path';

/** One app as an ecosystem file has it. */
export type Pm2App = Record<string, unknown>;

/** The words of a line. */
export const texts = (value: unknown): string[] => value === undefined || value === null || value === '' ? []
  : Array.isArray(value) ? value.map(String)
    : Array.from(String(value).matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g), ([, double, single, bare]) => double ?? single ?? bare ?? '');

export const RUNS_TYPESCRIPT = /(?:^|\/)(?:tsx|ts-node(?:-dev|-esm)?|ts-node-script)$/;
const NODE = /(?:^|\/)node(?:js)?(?:\.exe)?$/;

/** An empty one is none: PM2 chooses by the script's extension then. */
export const interpreterOf = ({ interpreter, exec_interpreter: other = interpreter }: Pm2App): string => String(other ?? '').trim();
export const isNode = (interpreter: string): boolean =>
  interpreter === '' || NODE.test(interpreter) || RUNS_TYPESCRIPT.test(interpreter) || /^node@/.test(interpreter);

/** Files that a build or an installation makes may be missing as yet; a bare word is a program. */
export const isFileLike = (script: string): boolean => /[\\/]|\.[cm]?[jt]s$/.test(script);

export const MANAGER = /(?:^|\/)(?:npm|yarn|pnpm)(?:\.cmd|-cli\.js)?$/;

/** The words that PM2 runs: a script with blanks in it is a line. */
export function lineOf({ script, args }: Pm2App): string[] {
  const text = String(script ?? '').trim();
  const words = /^(?:node|nodemon|npm|npx|yarn|pnpm|ts-node|tsx|cross-env)\s/.test(text) ? texts(text) : [text].filter(Boolean);
  return [...words, ...texts(args)];
}

interface Command {
  script: string;
  args: string[];
  /** Node's. */
  flags: string[];
}

/** Flags of Node's whose value is the next word. */
const WITH_VALUE: ReadonlySet<string> = new Set(['-r', '--require', '--import', '--loader', '--experimental-loader', '--env-file']);
/** What `nest start` builds and then runs. */
const BUILT_BY_NEST = 'dist/main.js';
/** How many scripts of package.json may name one another. */
const DEEPEST = 5;

/** What a line comes to, `npm start` and `cross-env A=1 node server.js` too. */
export function commandOf(line: readonly string[], dir: string, depth = 0): Command | { why: string } {
  const [first, ...rest] = line;
  if (first === undefined) return { why: 'it has no script' };
  if (/^\w+=/.test(first) || /(?:^|\/)(?:cross-env|npx)$/.test(first)) return commandOf(rest, dir, depth);
  if (MANAGER.test(first)) return scriptNamed(first, rest, dir, depth);
  const isRunner = NODE.test(first) || RUNS_TYPESCRIPT.test(first) || /(?:^|\/)nodemon$/.test(first);
  if (/\.(?:sh|py|rb|php)$/.test(first)) return { why: `${first}: not Node.js` };
  if (first === 'nest' && rest[0] === 'start') return { script: BUILT_BY_NEST, args: [], flags: [] };
  if (!isRunner) return { script: moduleOf(first, dir), args: rest, flags: [] };
  const flags: string[] = [];
  let at = 0;
  for (; rest[at]?.startsWith('-'); at++) {
    const flag = rest[at] as string;
    flags.push(flag, ...WITH_VALUE.has(flag) ? [rest[++at] ?? ''] : []);
  }
  const [script, ...args] = rest.slice(at);
  if (script === undefined) return { why: `${line.join(' ')}: it names no module` };
  return { script, args, flags: NODE.test(first) ? flags : [] };
}

function scriptNamed(manager: string, words: readonly string[], dir: string, depth: number): Command | { why: string } {
  const end = words.indexOf('--');
  const own = (end === -1 ? words : words.slice(0, end)).filter((word) => word !== 'run' && word !== 'run-script' && !word.startsWith('-'));
  const [name = 'start', ...more] = own;
  const command = manifest(dir).scripts?.[name];
  const said = [manager, ...words].join(' ');
  const isPlain = command !== undefined && depth < DEEPEST && !/[|;&<>$`]/.test(command);
  const found = isPlain ? commandOf(texts(command), dir, depth + 1) : undefined;
  if (found === undefined || 'why' in found || !isFileLike(found.script)) {
    return { why: `${said} runs "${command ?? '?'}": name the module that listens with the key app` };
  }
  return { ...found, args: [...found.args, ...more, ...end === -1 ? [] : words.slice(end + 1)] };
}

/** The program of an installed package is a module of it. */
function moduleOf(program: string, dir: string): string {
  if (isFileLike(program)) return program;
  const folder = path.posix.join('node_modules', program);
  const { bin } = manifest(path.join(dir, folder));
  const file = typeof bin === 'string' ? bin : bin?.[program];
  return file === undefined ? program : path.posix.join(folder, file);
}

interface Manifest {
  scripts?: Record<string, string>;
  bin?: string | Record<string, string>;
}

function manifest(dir: string): Manifest {
  try {
    return JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8')) as Manifest;
  } catch {
    return {};
  }
}
