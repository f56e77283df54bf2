import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { MARK } from '../ipc/messages.js';
import { ClusterError, reason } from '../kit/errors.js';
import { isUtf16, UTF16 } from '../kit/json-text.js';
import { logicalCwd } from './target.js';

/** Variables; of a change undefined ones go. */
export type Variables = Readonly<Record<string, string | undefined>>;

interface EnvFile {
  /** As it was typed. */
  name: string;
  /** Absolute, symbolic links kept: a reload follows `current` anew. */
  file: string;
  optional: boolean;
}

/** A shell's own, and Node's and ours between parent and child: they tell nothing of what a process is to run with. */
const IN_PASSING: ReadonlySet<string> = new Set([
  '_', 'SHLVL', 'PWD', 'OLDPWD', 'HATCHERY_DAEMON', 'NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE', 'NODE_UNIQUE_ID', MARK,
]);

/**
 * The variables that this process was started with, apart from what files say (`--env-file`, Node's flag or ours): those are
 * read again at each reload, and a restart hands on what was given, so that they are read again there too. What was given
 * wins over a file, as Node has it. Other libraries may set variables in `process.env` as well; those stay.
 */
export class Environment {
  readonly #files: readonly EnvFile[];
  readonly #standard: Record<string, string>;
  #given: Record<string, string>;
  #read: Record<string, string>;

  /**
   * `files`: of our own flag. Their variables are set, and NODE_ENV as the `mode` has it where neither they nor the environment
   * say. @throws ClusterError ERR_CLUSTER_CONFIG: one cannot be read
   */
  constructor(files: readonly string[] = [], mode?: 'start' | 'dev', execArgv: readonly string[] = process.execArgv) {
    this.#standard = mode ? { NODE_ENV: mode === 'dev' ? 'development' : 'production' } : {};
    const place = ({ name, optional }: Omit<EnvFile, 'file'>): EnvFile => ({ name, optional, file: path.resolve(logicalCwd(), name) });
    this.#files = [...filesOfNode(execArgv), ...files.map((name) => ({ name, optional: false }))].map(place);
    this.#given = { ...process.env } as Record<string, string>;
    this.#read = read(this.#files);
    // Node has set those of its own flag already, and in some versions those of ours: what was given may say the same.
    const doubtful = Object.entries(this.#read).filter(([name, value]) => this.#given[name] === value);
    const before = doubtful.length > 0 ? atStart() : {};
    for (const [name, value] of doubtful) if (before[name] !== value) delete this.#given[name];
    assign(process.env, this.#layered(this.#read, this.#given));
  }

  /** An empty text is nobody's word where there is a standard. */
  #layered(values: Variables, given: Variables): Variables {
    const layered: Record<string, string | undefined> = { ...values, ...given };
    for (const [name, standard] of Object.entries(this.#standard)) layered[name] = given[name] || values[name] || standard;
    return layered;
  }

  /** As they were given; those of files are not among them. */
  get given(): Readonly<Record<string, string>> {
    return this.#given;
  }

  /** Where the files are that are read again at each reload, absolute. */
  get files(): string[] {
    return this.#files.map(({ file }) => file);
  }

  /**
   * What the next release has otherwise: files are read anew, and `given` takes the place of what was given. Nothing is set;
   * `keep` makes it the state that the next change starts from. @throws ClusterError ERR_CLUSTER_CONFIG: a file cannot be read
   */
  next(given: Variables = this.#given): { change: Variables; keep: () => void } {
    const lasting = Object.entries(given).filter(([name, value]) => value !== undefined && !IN_PASSING.has(name));
    const kept = Object.entries(this.#given).filter(([name]) => IN_PASSING.has(name));
    const wanted = Object.fromEntries([...lasting, ...kept]);
    const values = read(this.#files);
    const before = this.#layered(this.#read, this.#given);
    const after = this.#layered(values, wanted);
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return {
      change: Object.fromEntries([...names].filter((name) => before[name] !== after[name]).map((name) => [name, after[name]])),
      keep: () => {
        this.#given = wanted as Record<string, string>;
        this.#read = values;
      },
    };
  }
}

/** Sets variables of `env`; those that are undefined go. Returns what puts them back. */
export function assign(env: NodeJS.ProcessEnv, change: Variables): Variables {
  const before: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(change)) {
    before[name] = env[name];
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  return before;
}

/**
 * How two environments differ, in words, for a person: names and never values, which may be secrets. Null where they do not.
 * npm sets dozens of its own, told as one.
 */
export function differences(before: Variables, after: Variables): string | null {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
    .filter((name) => before[name] !== after[name] && !IN_PASSING.has(name));
  const kinds = {
    changed: names.filter((name) => name in before && name in after),
    new: names.filter((name) => !(name in before)),
    gone: names.filter((name) => !(name in after)),
  };
  const words = Object.entries(kinds).filter(([, some]) => some.length > 0).map(([kind, some]) => `${kind} ${list(some)}`);
  return words.length === 0 ? null : words.join('; ');
}

function list(names: readonly string[]): string {
  const own = names.filter((name) => !name.startsWith('npm_'));
  const more = names.length - own.length;
  const shown = own.map((name) => /^[\w.()%-]+$/.test(name) ? name : JSON.stringify(name));
  return [...shown, ...(more > 0 ? [`${more} of npm's (npm_*)`] : [])].join(', ');
}

/** `--env-file=x`, `--env-file x` and `--env-file-if-exists=x` among the flags of Node. */
function filesOfNode(argv: readonly string[]): Omit<EnvFile, 'file'>[] {
  return argv.flatMap((arg, at) => {
    const [, ifExists, value] = /^--env-file(-if-exists)?(?:=(.*))?$/s.exec(arg) ?? [undefined, undefined, undefined];
    if (!arg.startsWith('--env-file')) return [];
    const name = value ?? argv[at + 1];
    return name === undefined ? [] : [{ name, optional: ifExists !== undefined }];
  });
}

/** What this process was started with, whatever has been set since; empty where the system does not tell. */
function atStart(): Variables {
  try {
    const pairs = readFileSync('/proc/self/environ', 'utf8').split('\0').map((pair) => pair.split(/=(.*)/s, 2));
    return Object.fromEntries(pairs) as Variables;
  } catch {
    return {};
  }
}

/** What the files say, a later one before an earlier one. */
function read(files: readonly EnvFile[]): Record<string, string> {
  const values: Record<string, string> = {};
  for (const { name, file, optional } of files) {
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch (error) {
      if (optional && (error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw new ClusterError('ERR_CLUSTER_CONFIG', `--env-file: cannot read ${name}: ${reason(error)}`);
    }
    if (isUtf16(bytes)) throw new ClusterError('ERR_CLUSTER_CONFIG', `--env-file: ${name}: ${UTF16}`);
    // With its mark the first variable would have another name.
    Object.assign(values, parseEnv(bytes.toString().replace(/^\uFEFF/, '')));
  }
  return values;
}
