import Original from 'common-bin';

/** What a parsed command line holds; `_` are the words that are no flags. */
export interface Argv {
  _: string[];
  [flag: string]: unknown;
}

export interface Context {
  argv: Argv;
  cwd: string;
  env: NodeJS.ProcessEnv;
  rawArgv: string[];
}

/** One option as yargs takes it. */
export interface YargsOption {
  type?: 'string' | 'boolean' | 'number' | 'array';
  alias?: string;
  description?: string;
  default?: unknown;
  defaultDescription?: string;
  hidden?: boolean;
}

interface Yargs {
  detectLocale(detect: boolean): Yargs;
  parserConfiguration(configuration: Record<string, boolean>): Yargs;
  fail(handler: (message: string, error?: Error) => void): Yargs;
  usage(text: string): Yargs;
  completion(): Yargs;
  scriptName(name: string): Yargs;
  parse(args: string[], done: (error: Error | null, argv: Argv) => void): void;
  getOptions(): { key: Record<string, unknown>; alias: Record<string, string[]>; hiddenOptions: string[] };
}

/** common-bin's class, typed: its own declarations need those of yargs, which it does not bring. */
interface CommonBinCommand {
  rawArgv: string[];
  yargs: Yargs;
  parserOptions: { execArgv: boolean; removeAlias: boolean; removeCamelCase: boolean };
  options: Record<string, YargsOption>;
  usage: string;
  get version(): string;
  set version(version: string);
  get context(): Context;
  add(name: string, target: CommandClass | string): void;
  alias(alias: string, name: string): void;
  start(): Promise<void>;
  run(context: Context): unknown;
  errorHandler(error: Error): void;
  showHelp(level?: string): void;
}

export type CommandClass = new (rawArgv?: string[]) => CommonBinCommand;

export const CommonBin = Original as unknown as CommandClass;
