import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Notes } from './report.js';

export type Pm2App = Record<string, unknown>;
type Config = Record<string, unknown>;

const texts = (value: unknown): string[] => value === undefined || value === null || value === '' ? []
  : Array.isArray(value) ? value.map(String)
    : Array.from(String(value).matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g), ([, double, single, bare]) => double ?? single ?? bare ?? '');

/** `1h`, `5s`, `300`: milliseconds. */
function milliseconds(value: unknown): number | undefined {
  const [, count, unit = 'ms'] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(String(value)) ?? [];
  return count === undefined ? undefined : Math.round(Number(count) * { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit as 'ms']);
}

/** `200M`, `1G`: as ours are written. */
const size = (value: unknown): string | number => typeof value === 'number' ? value
  : String(value).trim().replace(/^(\d+)\s*([KMG])B?$/i, (_, count: string, unit: string) => `${count}${unit.toUpperCase()}B`);

const isNode = (app: Pm2App): boolean => {
  const { interpreter, exec_interpreter: other = interpreter } = app;
  return other === undefined || /(?:^|\/)(?:node|nodejs|tsx|ts-node)$/.test(String(other));
};

/** Null: it is no app of Node's, as `why` says. */
export function convert(app: Pm2App, from: string): { config: Config; notes: Notes; dir: string } | { why: string } {
  const name = String(app.name ?? '');
  const script = scriptOf(app, from);
  if (typeof script !== 'string') return script;
  const runs = String(app.interpreter ?? app.exec_interpreter);
  if (!isNode(app)) return { why: `${name || script}: its interpreter is ${runs}, which is not Node.js` };
  const dir = path.resolve(from, String(app.cwd ?? '.'));
  const notes = new Notes();
  const found = existsSync(path.resolve(dir, script)) || !existsSync(path.resolve(from, script)) ? script
    : path.relative(dir, path.resolve(from, script));
  const config: Config = { ...name ? { title: name } : {}, app: found };
  notes.kept('script', `app ${found}`);
  for (const [key, value] of Object.entries(app)) if (value !== undefined && value !== null) keyOf(key, value, { app, config, notes });
  if (app.instances === undefined) config.workers = 1;
  plugin({ app, config, notes }, 'pm2', {});
  notes.kept('NODE_APP_INSTANCE', 'plugins.pm2: the slot of a worker, which outlives it');
  return { config, notes, dir };
}

/** What `npm start` and the like come to. */
function scriptOf({ script, args, name }: Pm2App, from: string): string | { why: string } {
  if (script === undefined || script === '') return { why: `${String(name)}: it has no script` };
  const text = String(script);
  if (!/(?:^|\/)(?:npm|yarn|pnpm)(?:\.cmd|-cli\.js)?$/.test(text)) {
    const [first = '', ...rest] = texts(text);
    return /(?:^|\/)node$/.test(first) && rest[0] ? rest[0] : /\.(?:sh|py|rb|php)$/.test(text) ? { why: `${text}: not Node.js` } : text;
  }
  const words = texts(args).filter((word) => word !== 'run' && !word.startsWith('-'));
  const { scripts = {} } = manifest(from);
  const command = scripts[words[0] ?? 'start'];
  const [, file] = /^(?:\S+=\S+ )*node (?:-\S+ )*(\S+\.[cm]?[jt]s)/.exec(command ?? '') ?? [];
  if (file !== undefined) return file;
  const line = [text, ...texts(args)].join(' ');
  return { why: `${String(name ?? text)}: ${line} runs "${command ?? '?'}": name the module that listens with the key app` };
}

function manifest(dir: string): { scripts?: Record<string, string> } {
  try {
    return JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8')) as { scripts?: Record<string, string> };
  } catch {
    return {};
  }
}

interface Work {
  app: Pm2App;
  config: Config;
  notes: Notes;
}
type Rule = (value: unknown, work: Work, key: string) => void;

/** Options of a plugin, which is then on. */
function plugin({ config }: Work, name: string, options: Config): void {
  const plugins = (config.plugins ??= {}) as Record<string, Config>;
  plugins[name] = { ...plugins[name], ...options };
}

const unneeded = (text: string): Rule => (_, { notes }, key) => notes.unneeded(key, text);
const lost = (text: string): Rule => (_, { notes }, key) => notes.lost(key, text);
const time = (set: (ms: number, work: Work) => string): Rule => (value, work, key) => {
  const ms = milliseconds(value);
  if (ms === undefined) work.notes.lost(key, `${JSON.stringify(value)} is no time`);
  else work.notes.kept(key, set(ms, work));
};
const log: Rule = (value, { notes }, key) =>
  notes.changed(key, `give start --daemon ${/err/.test(key) ? '--stderr' : '--stdout'} ${String(value)}`);
const nodeFlags: Rule = (value, { config, notes }, key) => {
  config.execArgv = [...(config.execArgv ?? []) as string[], ...texts(value)];
  notes.kept(key, 'execArgv');
};

const RULES: Readonly<Record<string, Rule>> = {
  name: (value, { notes }) => notes.kept('name', `title ${String(value)}`),
  script: () => {}, cwd: () => {}, interpreter: () => {}, exec_interpreter: () => {},
  args: (value, { app, config, notes }, key) => {
    if (/(?:^|\/)(?:npm|yarn|pnpm)$/.test(String(app.script))) return;
    config.args = texts(value);
    notes.kept(key, 'args');
  },
  instances: (value, { config, notes }) => {
    const count = Number(value);
    config.workers = value === 'max' || !(count > 0) ? 'auto' : count;
    notes.kept('instances', `workers ${String(config.workers)}`);
    if (count < 0) notes.changed('instances', `${count} means all processors but ${-count}: say a number, "auto" is one for each`);
  },
  exec_mode: (value, { app, notes }) => {
    const forks = /fork/.test(String(value)) && Number(app.instances) > 1;
    if (forks) notes.changed('exec_mode', 'the workers share the port, as in cluster mode');
    else notes.unneeded('exec_mode', 'every app runs in a cluster');
  },
  env: (value, work) => environment(value as Config, work.config, work.notes, 'env'),
  node_args: nodeFlags, interpreter_args: nodeFlags,
  max_memory_restart: (value, work, key) => {
    plugin(work, 'health-check', { maxRss: size(value) });
    work.notes.kept(key, `plugins.health-check.maxRss ${String(size(value))}; the replacement is ready before the old one goes`);
  },
  cron_restart: (value, work, key) => {
    plugin(work, 'health-check', { cron: String(value) });
    work.notes.kept(key, 'plugins.health-check.cron; one worker after the other');
  },
  kill_timeout: time((ms, work) => {
    if (ms <= 5_000) return `${ms} ms; requests have graceful-exit.timeout (30000 ms) here, and what is done by then ends sooner`;
    plugin(work, 'graceful-exit', { timeout: ms });
    return 'plugins.graceful-exit.timeout';
  }),
  listen_timeout: time((ms, work) => {
    if (work.app.wait_ready) plugin(work, 'pm2', { listenTimeout: ms });
    return work.app.wait_ready ? 'plugins.pm2.listenTimeout' : 'a worker has startTimeout (30000 ms) to listen, and is not ready before';
  }),
  wait_ready: (value, work) => {
    if (!value) return;
    plugin(work, 'pm2', { waitReady: true });
    work.notes.kept('wait_ready', 'plugins.pm2.waitReady: ready when it listens and has said process.send(\'ready\')');
  },
  shutdown_with_message: (value, work, key) => {
    if (!value) return;
    plugin(work, 'pm2', { shutdownMessage: true });
    work.notes.kept(key, 'plugins.pm2.shutdownMessage, after the requests are answered');
  },
  instance_var: (value, work, key) => {
    plugin(work, 'pm2', { instanceVar: String(value) });
    work.notes.kept(key, 'plugins.pm2.instanceVar');
  },
  increment_var: (value, work, key) => {
    plugin(work, 'pm2', { incrementVar: String(value) });
    work.notes.kept(key, 'plugins.pm2.incrementVar');
  },
  max_restarts: unneeded('a slot is never given up: refork says how often, and refork.onLimit: "exit" ends the master'),
  min_uptime: unneeded('refork.duration is the window in which deaths count'),
  restart_delay: time((ms, { config }) => {
    config.refork = { ...config.refork as object, minDelay: ms };
    return 'refork.minDelay';
  }),
  exp_backoff_restart_delay: unneeded('the delay grows by itself, up to refork.maxDelay'),
  autorestart: (value, { notes }) => value === false
    ? notes.lost('autorestart', 'who dies is replaced; a job that ends is better run by cron')
    : notes.unneeded('autorestart', 'who dies is replaced'),
  watch: (value, { notes }) => value
    ? notes.changed('watch', 'framework dev watches; a start does not')
    : notes.unneeded('watch', 'a start watches nothing'),
  ignore_watch: unneeded('framework dev watches what the app has loaded'), watch_delay: unneeded('framework dev waits by itself'),
  watch_options: unneeded('framework dev chooses by itself'),
  out_file: log, output: log, out_log: log, error_file: log, error: log, err_file: log, err_log: log, log_file: log, log: log,
  merge_logs: unneeded('all write to one log'), combine_logs: unneeded('all write to one log'),
  log_date_format: unneeded('lines have their time'), time: unneeded('lines have their time'),
  log_type: (value, { config, notes }) => {
    if (value === 'json') config.log = { format: 'json' };
    notes.kept('log_type', 'log.format');
  },
  source_map_support: (value, { config, notes }, key) => {
    if (value !== true) return;
    config.execArgv = [...(config.execArgv ?? []) as string[], '--enable-source-maps'];
    notes.kept(key, 'execArgv --enable-source-maps');
  },
  pid_file: lost('framework status --json has the pid'), pid: lost('framework status --json has the pid'),
  namespace: unneeded('each app is an instance of its own'), vizion: unneeded('nothing looks at the repository'),
  treekill: unneeded('what a worker has started ends with it'), automation: unneeded('there is no daemon of ours'),
  pmx: unneeded('plugin metrics is there for numbers'), trace: lost('plugin metrics is there for numbers'),
  user: lost('the service manager says it: framework systemd'), uid: lost('the service manager says it: framework systemd'),
  gid: lost('the service manager says it: framework systemd'), stop_exit_codes: lost('who ends is replaced'),
  filter_env: lost('give the environment that it is to have'), post_update: lost('a deployment does it'),
  port: (value, { config, notes }) => {
    config.port = Number(value);
    notes.kept('port', 'port');
  },
};

function keyOf(key: string, value: unknown, work: Work): void {
  const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const rule = RULES[snake];
  if (rule) return rule(value, work, key);
  const [, profile] = /^env_(.+)$/.exec(key) ?? [];
  if (profile === undefined) return work.notes.lost(key, 'unknown');
  const overlay: Config = {};
  environment(value as Config, overlay, work.notes, key, work.app.env as Config | undefined);
  if (Object.keys(overlay).length > 0) work.config.profiles = { ...work.config.profiles as object, [profile]: overlay };
  const by = profile === 'production' ? 'start has it by itself, without a flag' : `start --env ${profile}`;
  work.notes.changed(key, `profiles.${profile}: ${by}`);
}

/** PORT is the master's to know; NODE_ENV of production it sets by itself, unless the environment below (`base`) has another. */
function environment(given: Config, config: Config, notes: Notes, key: string, base?: Config): void {
  const env = Object.entries(given ?? {}).filter(([, value]) => value !== null && value !== undefined && typeof value !== 'object');
  const port = Number(Object.fromEntries(env).PORT);
  if (port > 0 && port < 65_536) {
    config.port = port;
    notes.changed(`${key}.PORT`, `port ${port}, which the workers get as PORT`);
  }
  const byItself = ['production', undefined].includes(base?.NODE_ENV as string | undefined) ? 'production' : null;
  const rest = env.filter(([name, value]) => !(name === 'PORT' && port > 0) && !(name === 'NODE_ENV' && value === byItself));
  if (rest.length === 0) return;
  config.env = Object.fromEntries(rest.map(([name, value]) => [name, String(value)]));
  notes.kept(key, `env: ${rest.map(([name]) => name).join(', ')}`);
}

