import * as v from 'valibot';
import { LOG_FORMATS, LOG_LEVELS } from '../kit/logger.js';
import { isObject, misuse } from '../kit/misuse.js';

/**
 * The configuration, said once: types, validation, defaults, the JSON Schema for editors and the table in
 * docs/configuration.md all come from here. The message of each schema is what is allowed, and reads after "expected".
 */

/** setTimeout wraps around above this. */
const LONGEST = 2 ** 31 - 1;

/** More is a slip of the keyboard, and a master that forks for ever answers no signal. */
export const MOST_WORKERS = 1024;

/** Booted workers that wait; more than a slot each are of no use. */
const MOST_STANDBYS = 64;

/** A plugin object. What is in it beside the name is said where plugins are (api/plugin.ts), by declaration merging. */
export interface PluginObject {
  name: string;
}

/** A plugin object, or a class of that shape, as a JS config may hold it; whatever its options are, its own schema knows. */
export type AnyPlugin = PluginObject | (new () => PluginObject);

/**
 * Options of plugins as a configuration gives them, by the name that it gives them under, by declaration merging:
 * `declare module 'hatchery' { interface PluginOptions { 'my-plugin': { limit?: number } } }`.
 * What is not declared takes any options.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by declaration merging
export interface PluginOptions {}

type PluginInput<Options> = boolean | { [Option in keyof Options]: Options[Option] } | AnyPlugin;
type DeclaredPlugins = { [Name in keyof PluginOptions]?: PluginInput<PluginOptions[Name]> };
/** One of several of the same plugin, such as `limiter#api`. */
type DeclaredInstances = { [Name in keyof PluginOptions & string as `${Name}#${string}`]?: PluginInput<PluginOptions[Name]> };

/**
 * An interface, so that a declared name has its own options, and them alone: intersected with the options of an undeclared
 * one they would take any key (test/types/plugin-options.test.ts). `undefined` is not for use: an optional key brings it.
 */
interface PluginMap extends DeclaredPlugins, DeclaredInstances {
  [name: string]: PluginInput<Record<string, unknown>> | undefined;
}
type PluginsInput = PluginMap | (AnyPlugin | [AnyPlugin, Record<string, unknown>])[];

const text = (expected = 'a text') => v.pipe(v.string(expected), v.nonEmpty(expected));

const span = (min: number, max: number): string => max === Number.MAX_SAFE_INTEGER ? `from ${min} up` : `from ${min} to ${max}`;

function whole(min: number, max = Number.MAX_SAFE_INTEGER, expected = `a whole number ${span(min, max)}`) {
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(min, expected), v.maxValue(max, expected));
}
const milliseconds = (min = 0) => whole(min, LONGEST, `whole milliseconds from ${min} up`);

function wholeOr<const Word extends string | boolean>(words: readonly Word[], min: number, max?: number) {
  const number = whole(min, max);
  const expected = [number.message, ...words.map((word) => JSON.stringify(word))].join(', ').replace(/, (?=[^,]*$)/, ' or ');
  return v.union([...words.map((word) => v.literal(word, expected)), whole(min, max, expected)], expected);
}

const oneOf = <const Words extends readonly string[]>(words: Words) =>
  v.picklist(words, `one of ${words.map((word) => `"${word}"`).join(', ')}`);
/** As long as the name of a directory, from which it may come. */
const LONGEST_TITLE = 255;
const A_TITLE = `a text of at most ${LONGEST_TITLE} characters`;
const A_GROUP = 'the name or the number of a group';
const AN_OCTAL = 'an octal text such as "0660"';
/** A number would be taken as it stands, and 0660 of YAML is 660. */
const octal = () => v.pipe(v.string(AN_OCTAL), v.regex(/^(?:0o?)?[0-7]{3}$/, AN_OCTAL));
const A_SIZE = 'bytes from 1024 up, or a text such as "10MB"';
const UNITS: Readonly<Record<string, number>> = { KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 };
/** NaN for what is no size. */
function bytesIn(size: number | string): number {
  if (typeof size === 'number') return Number.isInteger(size) ? size : NaN;
  const [, count, unit] = /^(\d+(?:\.\d+)?)\s*(KB|MB|GB)$/i.exec(size.trim()) ?? [];
  return unit === undefined ? NaN : Math.round(Number(count) * (UNITS[unit.toUpperCase()] as number));
}
const bytes = (description: string) => v.pipe(v.union([v.number(), v.string()], A_SIZE),
  v.check((size) => bytesIn(size) >= 1024, A_SIZE), v.description(description), v.transform(bytesIn));
/** Less would be shorter than what is measured, ms. */
const LEAST_QUIET = 1_000;
export const A_RANGE = '{ min, max, quiet }';
const WORKERS = `a whole number from 1 to ${MOST_WORKERS}, "auto" or ${A_RANGE}`;
const STANDBYS = `a whole number from 0 to ${MOST_STANDBYS}, or { count, perSlot }`;
const list = () => v.array(text(), 'a list of texts');
const object = 'an object';

/** Anything with `apply`: told from a plugin's options, which are plain data, by that function. */
export const isPlugin = (value: unknown): value is AnyPlugin => {
  const shape = typeof value === 'function' ? value.prototype as unknown : value;
  return typeof shape === 'object' && shape !== null && typeof (shape as { apply?: unknown }).apply === 'function';
};
const plugin = v.custom<AnyPlugin>(isPlugin);
const pluginOptions = v.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && !isPlugin(value));
const pluginValue = v.union([v.boolean(), pluginOptions, plugin], 'true, false, an object of options or a plugin');
const pluginList = v.array(v.union([plugin, v.tuple([plugin, pluginOptions])], 'a plugin or [plugin, options]'));
const pluginMap = v.record(v.string(), pluginValue, 'an object of plugin names');

const entries = {
  app: v.optional(v.pipe(text('a file path'),
    v.description('The module that each worker loads. Found by itself: `main` of package.json, else `app`, `server` or `index`.'))),
  agent: v.optional(v.pipe(v.union([v.boolean(), text()], 'a file path, true or false'),
    v.description('The module of the agent; `true`: an agent without one; `false`: none. Found by itself: `agent.*`.'))),
  framework: v.optional(v.pipe(text('a package name or a path'),
    v.description('A framework that exports `Application` and `Agent`: package name or path.'))),
  title: v.optional(v.pipe(v.string(A_TITLE), v.nonEmpty(A_TITLE), v.maxLength(LONGEST_TITLE, A_TITLE),
    v.description('Name of the instance, shown in process titles. By itself: the name in package.json, else the directory\'s.'))),
  workers: v.optional(v.pipe(v.union([v.literal('auto'), whole(1, MOST_WORKERS, WORKERS), v.strictObject({
    min: v.pipe(whole(1, MOST_WORKERS), v.description('The fewest.')),
    max: v.pipe(whole(1, MOST_WORKERS), v.description('The most.')),
    quiet: v.optional(v.pipe(milliseconds(LEAST_QUIET), v.description('Of little load before one is taken away, ms.')), 60_000),
  }, object)], WORKERS), v.description('How many workers; `auto`: what WEB_CONCURRENCY says, else one for each processor that the '
    + 'machine and the container\'s quota leave; 1 in `dev`. `{ min, max }`: as many as the load asks for; `quiet` (60000): so many ms '
    + 'of little load before one is taken away.')), 'auto'),
  standby: v.optional(v.pipe(v.union([whole(0, MOST_STANDBYS), v.strictObject({
    count: v.optional(whole(1, MOST_STANDBYS), 1),
    perSlot: v.optional(v.boolean('true or false'), false),
  }, object)], STANDBYS), v.description('So many workers that have loaded the app wait, and listen nowhere: a dead slot, a reload, a '
    + 'scale-up has one at once. `CLUSTER_SLOT` is unset until then; `perSlot`: so many for each slot, which know theirs as they load.')),
  0),
  port: v.optional(v.pipe(whole(0, 65535), v.description('TCP port, 0 for a free one; 8443 with `https`.')), 7001),
  host: v.optional(v.pipe(text('a host name or an address'), v.description('Address to listen on; all of them when not set.'))),
  server: v.optional(v.pipe(v.boolean('true or false'), v.description('`false`: the app has no server (a queue consumer, UDP, a bot); '
    + 'a worker is ready when its module, and what it exports, has resolved.')), true),
  path: v.optional(v.pipe(text('a file path'), v.description('Unix socket to listen on, in place of a port.'))),
  mode: v.optional(v.pipe(octal(), v.description('Permissions of the socket at `path`, and of those for each slot, an octal text: `"0660"` '
    + 'lets its group connect, `"0666"` everybody. By itself what the umask leaves.'))),
  group: v.optional(v.pipe(v.union([text(A_GROUP), whole(0, 2 ** 32 - 2, A_GROUP)], A_GROUP),
    v.description('Group of these sockets, by name or number: that of a proxy in front.'))),
  https: v.optional(v.pipe(v.strictObject({
    key: v.optional(v.pipe(text('a file path'), v.description('Private key, PEM file.'))),
    cert: v.optional(v.pipe(text('a file path'), v.description('Certificate chain, PEM file.'))),
    ca: v.optional(v.pipe(text('a file path'), v.description('Certificate authorities, PEM file.'))),
  }, object), v.description('Serve https with these files.'))),
  env: v.optional(v.pipe(
    v.record(v.string(), v.pipe(v.union([v.string(), v.number(), v.boolean()], 'a text'), v.transform(String)), object),
    v.description('Environment variables for the children.')), {}),
  execArgv: v.optional(v.pipe(list(), v.description('Node options for the children.')), []),
  require: v.optional(v.pipe(list(), v.description('Modules that each child requires first.')), []),
  import: v.optional(v.pipe(list(), v.description('Modules that each child imports first.')), []),
  args: v.optional(v.pipe(v.array(v.pipe(v.union([v.string(), v.number(), v.boolean()], 'a text'), v.transform(String)), 'a list of texts'),
    v.description('Arguments of the app, `process.argv` from the third word on. On a command line what follows `--`.')), []),
  startTimeout: v.optional(v.pipe(milliseconds(1), v.description('How long the master waits for a child to be ready, ms.')), 30_000),
  refork: v.optional(v.pipe(v.strictObject({
    limit: v.optional(v.pipe(whole(1), v.description('This many deaths within `duration` reach the limit.')), 60),
    duration: v.optional(v.pipe(milliseconds(1), v.description('Window in which deaths are counted, ms.')), 60_000),
    minDelay: v.optional(v.pipe(milliseconds(), v.description('Shortest wait before a dead worker is forked again, ms.')), 0),
    maxDelay: v.optional(v.pipe(milliseconds(), v.description('Longest wait, which repeated deaths grow to, ms.')), 15_000),
    onLimit: v.optional(v.pipe(oneOf(['degrade', 'exit']),
      v.description('At the limit: keep the survivors, or close with exit code 1.')), 'degrade'),
  }, object), v.description('What happens when workers die.')), {}),
  messages: v.optional(v.pipe(v.strictObject({
    outbox: v.optional(v.pipe(whole(65_536, 2 ** 30), v.description('Bytes that are kept for one process that has not read them.')),
      8 * 1024 * 1024),
    onFull: v.optional(v.pipe(oneOf(['wait', 'drop-oldest', 'error']), v.description('When they are more: whoever sends is to wait, and '
      + 'beyond twice as many new ones are dropped; the oldest are dropped; or what sends throws.')), 'wait'),
  }, object), v.description('Messages of the application, between workers and agent.')), {}),
  balance: v.optional(v.pipe(oneOf(['round-robin', 'os', 'reuse-port', 'auto']),
    v.description('How connections reach workers: the master hands them out, the workers share one socket, '
      + 'each slot has its own (Node >= 22.12, Linux), or the fastest of these that loses nothing here.')), 'round-robin'),
  memory: v.optional(v.pipe(oneOf(['watch', 'limit', 'off']),
    v.description('What a container\'s memory limit means (Linux). `watch`: over nine tenths of it a warning, and workers that only '
      + 'finish streams are ended, else the largest is recycled, at most one a minute; `limit`: the heap of each child is limited besides, '
      + 'so that all have room together; `off`: nothing.')), 'watch'),
  reload: v.optional(v.pipe(v.strictObject({
    soak: v.optional(v.pipe(milliseconds(), v.description('How long the first new worker must stay up before an old one drains, ms.')), 0),
    batch: v.optional(v.pipe(whole(1), v.description('How many workers are replaced at a time.')), 1),
  }, object), v.description('Rolling reload.')), {}),
  leaveChildren: v.optional(v.pipe(v.boolean('true or false'),
    v.description('Leave processes alone that a worker or the agent has started, also where it is killed at its deadline. Else they get '
      + 'SIGTERM after its end and SIGKILL 5 s later, but those in a session of their own (`detached`).')), false),
  plugins: v.optional(v.pipe(
    // Not a union: its error would lose the path to the value that is wrong.
    v.lazy((input) => (Array.isArray(input) ? pluginList : pluginMap) as v.GenericSchema as v.GenericSchema<PluginsInput>),
    v.description('Built-in name, package or path -> `true`, `false` or options. '
      + 'A JS config may also give plugin objects, by name or as a list.')), {}),
  log: v.optional(v.pipe(v.strictObject({
    level: v.optional(v.pipe(oneOf(LOG_LEVELS), v.description('Least important level that is printed.')), 'info'),
    format: v.optional(v.pipe(oneOf(LOG_FORMATS), v.description('Lines with time and pid, one JSON object a line, or what a person at a '
      + 'terminal wants of a line: in `dev` it is that by itself.')), 'text'),
    rotate: v.optional(v.pipe(v.strictObject({
      size: v.optional(bytes('A file makes room for the next one before it becomes larger: bytes, or a text '
        + 'such as `"10MB"`, which it is where nothing is said of `every` either.')),
      every: v.optional(v.pipe(oneOf(['hour', 'day', 'week']), v.description('The same as an hour, day or week begins, in local time.'))),
      keep: v.optional(v.pipe(whole(1, 100_000), v.description('How many files are kept, beside that of the start and the one that is '
        + 'being written.')), 10),
      gzip: v.optional(v.pipe(v.boolean('true or false'), v.description('Compress them.')), false),
    }, object), v.description('The master rotates the log files of a daemon; agent and workers write through it then.'))),
  }, object), v.description('The log of master, agent and workers.')), {}),
  inspect: v.optional(v.pipe(wholeOr([true, false], 0, 65535), v.description('Inspector in each child, from this port on.')), false),
  inspectBrk: v.optional(v.pipe(wholeOr([true, false], 0, 65535),
    v.description('The same, and each child waits for the debugger.')), false),
};

/** One layer of configuration without what only a whole file has: a profile, or a resolved configuration. */
export const profileSchema = v.strictObject(entries, object);

const BASES = 'a file path or a package name, or a list of them';

/** A configuration file. */
export const configSchema = v.strictObject({
  $schema: v.optional(v.pipe(v.string('a text'),
    v.description('Where an editor finds the JSON Schema: `./node_modules/hatchery/dist/schema.json`.'))),
  extends: v.optional(v.pipe(v.union([text(BASES), v.array(text(BASES), BASES)], BASES),
    v.description('Another configuration, file or package, that this one builds on; of a list the later ones count more.'))),
  ...entries,
  profiles: v.optional(v.pipe(v.record(v.string(), profileSchema, 'an object of profiles'),
    v.description('Overlays by the name of the environment: `production`, `development`, ...')), {}),
}, 'an object of keys');

/** What a user writes: a configuration file, with `extends` and `profiles`. */
export type ConfigInput = v.InferInput<typeof configSchema>;
/** The same without what only a whole file has: one profile, or options that are given to a function. */
export type ProfileInput = v.InferInput<typeof profileSchema>;

/** What a configuration that is a function is called with. */
export interface ConfigGiven {
  /** Whose defaults hold. */
  command: 'start' | 'dev';
  /** Whose overlay is laid on top: `--env`, else CLUSTER_ENV, NODE_ENV, or what the command runs in. */
  profile: string;
  /** Variables, those of `--env-file` among them. */
  env: Readonly<Record<string, string | undefined>>;
}
/** A configuration as a function, called each time it is read: at a start, and at each reload. */
export type ConfigFunction = (given: ConfigGiven) => ConfigInput | Promise<ConfigInput>;

type Parsed = v.InferOutput<typeof profileSchema>;

/** PEM files, absolute paths. */
export interface HttpsFiles {
  key: string;
  cert: string;
  ca?: string;
}

/**
 * What the cluster runs with: every default applied, relative paths made absolute, plain data throughout. Durations are in
 * milliseconds.
 */
export interface Config extends Omit<Parsed, 'workers' | 'title' | 'https' | 'plugins'> {
  /** How many, `auto` counted out; of a range the fewest, see {@link workerRange}. */
  workers: number;
  /** Name of the instance. */
  title: string;
  https?: HttpsFiles;
  /** `true`, `false` or options; plugin objects stand in `LoadedConfig.pluginObjects` under the same name. */
  plugins: Record<string, boolean | Record<string, unknown>>;
}

/** Built-in plugins that are on (or known and off) without a word in the configuration. */
export const pluginDefaults = (command: 'start' | 'dev'): Record<string, boolean> => ({
  'graceful-exit': true,
  'health-check': true,
  'sticky-session': false,
  'dev-reload': command === 'dev',
  metrics: false,
  'shared-clients': true,
  systemd: true,
  container: true,
  // On by itself for its apps (target.ts).
  egg: false,
  hosts: false,
  overload: false,
  // On where the key `standby` says how many.
  standby: false,
  // On where the key `workers` is a range.
  [ADAPTIVE]: false,
  pm2: false,
});

/** The plugin that moves the number of workers; the range that `workers` is stands among its options. */
export const ADAPTIVE = 'adaptive-workers';

export const HTTPS_PORT = 8443;

/** The built-in defaults, as the schema states them. */
export const defaults: Parsed = v.parse(profileSchema, {});

/** Types a configuration, or a function that gives one; returns it unchanged. @throws ClusterError ERR_CLUSTER_USAGE for anything else */
export function defineConfig(config: ConfigInput): ConfigInput;
export function defineConfig(config: ConfigFunction): ConfigFunction;
export function defineConfig(config: ConfigInput | ConfigFunction): ConfigInput | ConfigFunction {
  if (!isObject(config) && typeof config !== 'function') throw misuse(defineConfig, 'an object of keys, or a function', config);
  return config;
}
