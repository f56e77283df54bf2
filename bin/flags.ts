import type { Argv, YargsOption } from './common-bin.js';

/** One flag of a command. */
export interface Flag {
  /**
   * `text`: wants a value; `list`: the same, and may be given again; `switch`: has none, `--no-x` turns it off;
   * `maybe`: `--x` alone, or `--x=value`.
   */
  kind: 'text' | 'list' | 'switch' | 'maybe';
  description: string;
  alias?: string;
  /** What help shows as the default. */
  standard?: string;
  /** Where the value goes in the configuration. */
  key?: readonly string[];
  /** Also `--no-x`, which gives false. */
  negatable?: boolean;
  /** Help shows `--no-x` in place of `--x`. */
  negative?: boolean;
}
export type Flags = Readonly<Record<string, Flag>>;

/** Of every command: its answer, or its error, is one object on standard output, and nothing else is. */
export const jsonFlag: Flags = { json: { kind: 'switch', description: 'answer for programs', standard: 'off' } };

/** Which instance a command is for. */
export const instanceFlags: Flags = {
  title: { kind: 'text', description: 'the instance with this title', standard: 'any' },
};

/** What is started anew has the environment of the start, unless somebody says otherwise. */
export const environmentFlags: Flags = {
  'env-from-shell': {
    kind: 'switch', description: 'take this shell\'s environment, in place of the one it was started with', standard: 'off',
  },
};

/** What `start`, `dev`, `config` and `hooks` take. */
export const configFlags: Flags = {
  port: { kind: 'text', alias: 'p', description: 'TCP port, 0 for a free one', standard: '7001, with https 8443', key: ['port'] },
  host: { kind: 'text', description: 'address to listen on', standard: 'all addresses', key: ['host'] },
  workers: {
    kind: 'text', alias: 'w', description: 'how many workers: N, auto, 2-8 by the load, 0 in this process',
    standard: 'auto, in dev 1', key: ['workers'],
  },
  framework: { kind: 'text', description: 'package or path of a framework', standard: 'none', key: ['framework'] },
  agent: {
    kind: 'text', description: 'module of the agent, "true" for an agent without one', standard: 'agent.* if there is one',
    key: ['agent'], negatable: true,
  },
  title: { kind: 'text', description: 'name of the instance', standard: 'name in package.json', key: ['title'] },
  config: { kind: 'text', description: 'configuration file', standard: '.clusterrc, cluster.config.* or package.json', key: ['config'] },
  env: { kind: 'text', description: 'profile of the configuration', standard: 'NODE_ENV', key: ['profile'] },
  'env-file': {
    kind: 'list', description: 'file of environment variables, read again at each reload; may be given again', standard: 'none',
  },
  sticky: {
    kind: 'switch', description: 'the same client always reaches the same worker', standard: 'off', key: ['plugins', 'sticky-session'],
  },
  'https.key': { kind: 'text', description: 'private key, PEM file', standard: 'none', key: ['https', 'key'] },
  'https.cert': { kind: 'text', description: 'certificate chain, PEM file', standard: 'none', key: ['https', 'cert'] },
  'https.ca': { kind: 'text', description: 'certificate authorities, PEM file', standard: 'none', key: ['https', 'ca'] },
  require: {
    kind: 'list', alias: 'r', description: 'module that each child requires first; may be given again', standard: 'none', key: ['require'],
  },
  import: { kind: 'list', description: 'module that each child imports first; may be given again', standard: 'none', key: ['import'] },
  'start-timeout': { kind: 'text', description: 'how long a child may take to be ready, ms', standard: '30000', key: ['startTimeout'] },
  'log-level': { kind: 'text', description: 'debug, info, warn, error or silent', standard: 'info', key: ['log', 'level'] },
  'log-format': { kind: 'text', description: 'text, json, or short', standard: 'text', key: ['log', 'format'] },
  inspect: {
    kind: 'maybe', description: 'inspector in each child, each with its own port, printed; --inspect=port sets the first',
    standard: 'off', key: ['inspect'], negatable: true,
  },
  'inspect-brk': {
    kind: 'maybe', description: 'the same, and each child waits for the debugger', standard: 'off',
    key: ['inspectBrk'], negatable: true,
  },
};

/** Files of variables; of two that set the same one the later wins, and over both what the environment says. */
export const envFilesIn = (argv: Argv): string[] => [argv['env-file'] ?? []].flat() as string[];

/** What the command line says of the configuration, at the keys where it belongs; values are texts, switches booleans. */
export function configFrom(flags: Flags, argv: Argv): Record<string, unknown> {
  const config: Record<string, unknown> = argv['--'] === undefined ? {} : { args: argv['--'] };
  for (const [name, flag] of Object.entries(flags)) {
    const given = argv[name];
    if (!flag.key || given === undefined) continue;
    const [key, inner] = flag.key as [string, string?];
    const value = valueOf(flag, [given].flat());
    config[key] = inner ? { ...(config[key] as object | undefined), [inner]: value } : value;
  }
  return config;
}

/** What `--workers 0` says of the configuration: the app has the part of one worker, and nobody else ends what it has started. */
export const aloneFlags = (flags: Record<string, unknown>): Record<string, unknown> => ({ ...flags, workers: '1', leaveChildren: true });

/** Of a text given several times the last one counts: a shell alias may say the first. */
function valueOf(flag: Flag, given: readonly unknown[]): unknown {
  if (flag.kind === 'list') return given;
  const last = given.at(-1);
  if (flag.kind === 'maybe' && last === '') return true;
  return last === 'true' ? true : last === 'false' ? false : last;
}

/** Flags as yargs wants them. Values stay texts: whoever uses one says what is wrong with it. */
export function toYargs(flags: Flags): Record<string, YargsOption> {
  return Object.fromEntries(Object.entries(flags).map(([name, flag]) => [flag.negative ? `no-${name}` : name, {
    type: flag.kind === 'switch' ? 'boolean' : 'string',
    description: flag.description,
    ...(flag.alias ? { alias: flag.alias } : {}),
    ...(flag.standard ? { defaultDescription: flag.standard } : {}),
  } satisfies YargsOption]));
}
