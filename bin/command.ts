import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClusterError, describeError } from '../lib/kit/errors.js';
import { misuse, nearest, show } from '../lib/kit/misuse.js';
import type { LoadRequest } from '../lib/config/load.js';
import { packageRoot } from '../lib/kit/package.js';
import { CommonBin, type Argv, type CommandClass, type Context } from './common-bin.js';
import { toYargs, type Flag, type Flags } from './flags.js';
import { answerError, answerOnly, printError, style } from './output.js';

/** What yargs itself puts into a parsed command line. */
const YARGS_KEYS = new Set(['_', '$0']);
const OWN_KEYS = new Set([...YARGS_KEYS, '--', 'help', 'h', 'version', 'v']);

export const usageError = (message: string): ClusterError => new ClusterError('ERR_CLUSTER_USAGE', message);

/** Of the commands of all copies of this package that there may be. */
const MARK = Symbol.for('hatchery.Command');

/** A class that a program can run: common-bin's of ours, or a Command, be it of another copy of this package. */
export const isCommandClass = (value: unknown): value is CommandClass => {
  const shape = typeof value === 'function' ? value.prototype as unknown : undefined;
  return shape instanceof CommonBin || (typeof shape === 'object' && shape !== null && MARK in shape);
};

/**
 * A command on common-bin, with its faults mended: an unknown or misused flag ends with one line and exit code 2, an
 * error prints what a person needs, a word is never taken for a number, and nothing is read from disk to parse a line.
 * Extend a command with `get flags()`, or with `this.options` in the constructor as common-bin does it.
 */
export class Command extends CommonBin {
  constructor(rawArgv?: string[]) {
    if (rawArgv !== undefined && !Array.isArray(rawArgv)) throw misuse(new.target, 'a list of words', rawArgv);
    standSomewhere();
    super(rawArgv);
    const end = this.takesArguments ? this.rawArgv.indexOf('--') : -1;
    if (end !== -1) {
      this.appArguments = this.rawArgv.slice(end + 1);
      this.rawArgv = this.rawArgv.slice(0, end);
    }
    this.#words = this.rawArgv;
    this.rawArgv = this.rawArgv.map((word) => this.#isBare(word) ? `${word}=` : word);
    // `completion` would answer in place of a target of that name.
    this.yargs.completion = () => this.yargs;
    this.yargs
      .scriptName(this.program)
      .detectLocale(false)
      .parserConfiguration({ 'dot-notation': false, 'parse-numbers': false })
      .fail((message, error) => { throw error ?? usageError(message); });
    this.options = toYargs(this.flags);
  }

  get [MARK](): true { return true; }

  /** One line for the list of commands; no capital, no full stop. */
  get description(): string { return ''; }

  get flags(): Flags { return {}; }

  /** Names of the words it takes, as help shows them. */
  get words(): readonly string[] { return []; }

  /** What follows `--` is the app's, and in `argv['--']`. */
  get takesArguments(): boolean { return false; }

  /** Name of the bin, for help and messages. */
  get program(): string { return path.basename(process.argv[1] ?? 'framework').replace(/\.[cm]?[jt]s$/, ''); }

  /** The program that it is a command of, the word that led to it, and its fellows by theirs; set by the program. */
  owner: Command | null = null;
  commandName = '';
  siblings: ReadonlyMap<string, CommandClass> = new Map();
  /**
   * What the apps of this program run on where they name no framework: a package's name, looked for from the app and then from
   * the bin, or a path or file URL, relative to the bin's folder. All its commands go by it.
   */
  framework: string | URL | undefined = undefined;
  #version: string | undefined;
  /** Undefined without a `--`. */
  protected readonly appArguments?: readonly string[];
  /** The end of the line as typed: the app's arguments with their `--`. */
  protected get ending(): string[] { return this.appArguments ? ['--', ...this.appArguments] : []; }
  /** As typed, without the app's. */
  readonly #words: readonly string[];

  get usageLine(): string {
    const end = this.takesArguments ? '[-- arguments]' : '';
    return [this.program, this.commandName, ...this.words, '[flags]', end].filter(Boolean).join(' ');
  }

  /** What commands of a program of its own load beneath the app's configuration. */
  get beneath(): Pick<LoadRequest, 'framework'> {
    const { framework, owner } = this;
    if (framework === undefined) return owner?.beneath ?? {};
    if (!(framework instanceof URL) && (typeof framework !== 'string' || framework === '')) {
      throw usageError(`framework of ${this.constructor.name}: expected a package's name, a path or a file URL, found ${show(framework)}`);
    }
    const from = process.argv[1] ?? '';
    const text = framework instanceof URL || framework.startsWith('file:') ? fileURLToPath(framework) : framework;
    return { framework: { name: /^\.{1,2}(?:[\\/]|$)/.test(text) ? path.resolve(path.dirname(from), text) : text, from } };
  }

  override async start(): Promise<void> {
    // Before yargs: it takes `--help=x` for no help, and would go on.
    const wrong = this.#noFlag() ?? this.#switchWithValue();
    if (wrong) return this.errorHandler(wrong);
    const { description } = this;
    this.yargs.usage(`${description.charAt(0).toUpperCase()}${description.slice(1)}.\n\nUsage: ${this.usageLine}`);
    await super.start();
  }

  /** A bin of its own sets its own; ours is read when somebody asks, not at every start. */
  override get version(): string {
    return this.#version ?? this.owner?.version
      ?? (JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version;
  }

  override set version(version: string) { this.#version = version; }

  override get context(): Context {
    const context = super.context;
    if (this.appArguments) context.argv['--'] = this.appArguments;
    this.#check(context.argv);
    if (context.argv.json === true) answerOnly();
    return context;
  }

  /** The text of a flag that was given; the last one of several, as a shell alias may set the first. */
  protected text(argv: Argv, name: string): string | undefined {
    const value = [argv[name]].flat().at(-1);
    return typeof value === 'string' ? value : undefined;
  }

  /** A whole number of at least `min`; undefined when the flag was not given. */
  protected whole(argv: Argv, name: string, min: number, what = `a whole number from ${min} up`): number | undefined {
    const text = this.text(argv, name);
    if (text === undefined) return undefined;
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && Number.isSafeInteger(number)) return number;
    throw usageError(`--${name}: expected ${what}, found "${text}"`);
  }

  /** Tells what has gone wrong, and ends the process. With `--json` a program is told too, on standard output. */
  override errorHandler(error: Error): void {
    if (this.#ownWords.some((word) => word === '--json' || word === '--json=true')) answerOnly();
    answerError(error);
    if (error instanceof ClusterError) {
      const { message, detail, cause, exitCode } = error;
      printError(style(message, 'red', 2));
      if (detail && !message.includes(detail.trim())) printError(detail);
      if (cause !== undefined && exitCode !== 2) printError(`  caused by: ${describeError(cause)}`);
      process.exit(exitCode);
    }
    printError(describeError(error));
    process.exit(1);
  }

  /** `--inspect file.js` must not take the file for its value. */
  #isBare(word: string): boolean {
    return word.startsWith('--') && this.flags[word.slice(2)]?.kind === 'maybe';
  }

  /** What yargs may read. */
  get #ownWords(): readonly string[] {
    const end = this.#words.indexOf('--');
    return end === -1 ? this.#words : this.#words.slice(0, end);
  }

  /** `--_` and `--$0` are what yargs keeps its own results under, and `--constructor` what every object has. */
  #noFlag(): ClusterError | undefined {
    for (const word of this.#ownWords) {
      const [flag, name = ''] = /^--?(?:no-)?([^=]+)/.exec(word) ?? [];
      if (flag && (YARGS_KEYS.has(name) || name in Object.prototype)) return usageError(`${flag}: unknown flag; --help lists them`);
    }
    return undefined;
  }

  /** Of `--daemon=maybe` yargs makes `false`. */
  #switchWithValue(): ClusterError | undefined {
    for (const word of this.#ownWords) {
      const [, no, name = '', value = ''] = /^--(no-)?([^=]+)=(.*)$/s.exec(word) ?? [];
      const flag = this.flags[name];
      if (!OWN_KEYS.has(name) && flag?.kind !== 'switch') continue;
      if (no || OWN_KEYS.has(name)) return usageError(`--${no ?? ''}${name}: takes no value, found "${value}"`);
      if (value !== 'true' && value !== 'false') return usageError(`--${name}: expected true, false or no value, found "${value}"`);
    }
    return undefined;
  }

  #check(argv: Argv): void {
    const { key, alias } = this.yargs.getOptions();
    const names = [...Object.keys(key), ...Object.keys(alias), ...Object.values(alias).flat()];
    const known = new Set(names.map((name) => name.replace(/^no-/, '')));
    const spellings = new Set([...known].flatMap((name) => [name, camelCase(name)]));
    for (const [name, value] of Object.entries(argv)) {
      if (OWN_KEYS.has(name) || value === undefined) continue;
      const flag = this.flags[name];
      if (!spellings.has(name)) throw unknownFlag(name, value, known, this.flags);
      if (flag) this.#checkValue(name, flag, [value].flat());
    }
    const extra = argv._[this.words.length];
    if (extra !== undefined) throw usageError(`unexpected "${extra}": ${this.usageLine}`);
  }

  #checkValue(name: string, flag: Flag, values: unknown[]): void {
    const given = values.at(-1);
    if (flag.kind === 'switch') {
      if (given === true && flag.negative) throw usageError(`--${name}: unknown flag, did you mean "--no-${name}"?`);
    } else if (given === false) {
      if (!flag.negatable) throw usageError(`--no-${name}: unknown flag, did you mean "--${name}"?`);
    } else if (flag.kind !== 'maybe' && values.includes('')) {
      throw usageError(`--${name}: a value is missing (${flag.description})`);
    }
  }
}

/** Commands that speak to what runs: they need no directory where their target is a whole path. */
const OF_WHAT_RUNS: ReadonlySet<string> = new Set(['stop', 'reload', 'scale', 'status', 'logs']);

/**
 * A shell may stand in a directory that was deleted, such as a release, by a path that leads to another one now: there we go.
 * Where there is no such path little works, as every file is found from the working directory.
 */
function standSomewhere(): void {
  try {
    process.cwd();
  } catch {
    try {
      process.chdir(process.env.PWD ?? '');
    } catch {
      const [command = '', ...words] = process.argv.slice(2);
      const target = OF_WHAT_RUNS.has(command) ? words.find((word) => path.isAbsolute(word)) : undefined;
      if (target !== undefined) return process.chdir(path.parse(target).root);
      printError('the working directory was deleted: cd to one that is there');
      process.exit(2);
    }
  }
}

function unknownFlag(name: string, value: unknown, known: ReadonlySet<string>, flags: Flags): ClusterError {
  const dashes = name.length === 1 ? '-' : '--';
  const written = value === false ? `--no-${name}` : `${dashes}${name}`;
  const near = name.length > 1 ? nearest(name, [...known].filter((one) => one.length > 1)) : undefined;
  const meant = near === undefined ? undefined : flags[near];
  const no = meant?.negative || (value === false && (meant?.negatable || meant?.kind === 'switch')) ? 'no-' : '';
  return usageError(`${written}: unknown flag${near ? `, did you mean "--${no}${near}"?` : '; --help lists them'}`);
}

const camelCase = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
