import { existsSync } from 'node:fs';
import path from 'node:path';
import { defaults } from '../../lib/config/schema.js';
import { commandOf, interpreterOf, isFileLike, isNode, lineOf, MANAGER, RUNS_TYPESCRIPT, texts, type Pm2App } from './pm2-command.js';
import { Notes } from './report.js';

type Config = Record<string, unknown>;

/** `1h`, `5s`, `300`: milliseconds. */
function milliseconds(value: unknown): number | undefined {
  const [, count, unit = 'ms'] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(String(value)) ?? [];
  return count === undefined ? undefined : Math.round(Number(count) * { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit as 'ms']);
}

/** `200M`, `1.5G`: as ours are written. Undefined: it is no size. */
function size(value: unknown): string | number | undefined {
  const text = String(value).trim();
  if (/^\d+$/.test(text)) return Number(text);
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)\s*([KMG])B?$/i.exec(text) ?? [];
  return count === undefined ? undefined : `${count}${unit.toUpperCase()}B`;
}

/** `why`: it is no app of Node's. */
export function convert(app: Pm2App, from: string): { config: Config; notes: Notes; dir: string } | { why: string } {
  const notes = new Notes();
  const wanted = path.resolve(from, String(app.cwd ?? '.'));
  const dir = existsSync(wanted) ? wanted : from;
  const name = String(app.name ?? '');
  const runs = interpreterOf(app);
  const line = lineOf(app);
  // What a package manager runs is no matter of the interpreter.
  if (!isNode(runs) && !MANAGER.test(line[0] ?? '')) {
    return { why: `${name || line[0]}: its interpreter is ${runs}, which is not Node.js` };
  }
  const command = commandOf(line, dir);
  if ('why' in command) return { why: [name, command.why].filter(Boolean).join(': ') };
  const { script, args, flags } = command;
  const there = (base: string) => [script, `${script}.js`].some((file) => existsSync(path.resolve(base, file)));
  if (!isFileLike(script) && !there(dir) && !there(from)) {
    return { why: `${[name, script].filter(Boolean).join(': ')}: there is no such file; what is no module cannot be run` };
  }
  if (dir !== wanted) notes.changed('cwd', `${wanted} is not there: this is for ${dir}`);
  if (/^node@/.test(runs)) notes.changed('interpreter', `${runs}: start it with that Node`);
  const found = there(dir) || !there(from) ? script : path.relative(dir, path.resolve(from, script));
  const config: Config = { ...name ? { title: name } : {}, app: found };
  notes.kept('script', `app ${found}`);
  if (flags.length > 0) config.execArgv = flags;
  if (args.length > 0) {
    config.args = args;
    notes.kept('args', 'args');
  }
  for (const [key, value] of Object.entries(app)) if (value !== undefined && value !== null) keyOf(key, value, { app, config, notes });
  if (app.instances === undefined) config.workers = 1;
  plugin({ app, config, notes }, 'pm2', {});
  notes.kept('NODE_APP_INSTANCE', 'plugins.pm2: the slot of a worker, which outlives it');
  return { config, notes, dir };
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

/** Of refork.maxDelay, ms. */
const LONGEST_DELAY = defaults.refork.maxDelay;

const unneeded = (text: string): Rule => (_, { notes }, key) => notes.unneeded(key, text);
const lost = (text: string): Rule => (_, { notes }, key) => notes.lost(key, text);
const time = (set: (ms: number, work: Work) => string): Rule => (value, work, key) => {
  const ms = milliseconds(value);
  if (ms === undefined) work.notes.lost(key, `${JSON.stringify(value)} is no time`);
  else work.notes.kept(key, set(ms, work));
};
const log: Rule = (value, { notes }, key) =>
  notes.changed(key, `give start --daemon ${/err/.test(key) ? '--stderr' : '--stdout'} ${String(value)}`);
const nodeFlags: Rule = (value, { app, config, notes }, key) => {
  if (texts(value).length === 0) return;
  const runs = interpreterOf(app);
  if (RUNS_TYPESCRIPT.test(runs)) return notes.lost(key, `flags of ${runs}: TypeScript runs by Node.js itself, or by the app's tsx`);
  config.execArgv = [...(config.execArgv ?? []) as string[], ...texts(value)];
  notes.kept(key, 'execArgv');
};

const RULES: Readonly<Record<string, Rule>> = {
  name: (value, { notes }) => notes.kept('name', `title ${String(value)}`),
  script: () => {}, cwd: () => {}, interpreter: () => {}, exec_interpreter: () => {},
  args: () => {},
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
    const maxRss = size(value);
    if (maxRss === undefined) return work.notes.lost(key, `${JSON.stringify(value)} is no size`);
    plugin(work, 'health-check', { maxRss });
    work.notes.kept(key, `plugins.health-check.maxRss ${maxRss}; the replacement is ready before the old one goes`);
  },
  cron_restart: (value, work, key) => {
    // Both switch it off.
    if (!value || String(value).trim() === '0' || String(value).trim() === '') return;
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
    config.refork = { ...config.refork as object, minDelay: ms, ...ms > LONGEST_DELAY ? { maxDelay: ms } : {} };
    return 'refork.minDelay';
  }),
  exp_backoff_restart_delay: unneeded('the delay grows by itself, up to refork.maxDelay'),
  autorestart: (value, { notes }) => value === false
    ? notes.lost('autorestart', 'who dies is replaced; a job that ends is better run by cron')
    : notes.unneeded('autorestart', 'who dies is replaced'),
  watch: (value, { notes }) => value
    ? notes.changed('watch', 'framework dev watches; a start does not')
    : notes.unneeded('watch', 'a start watches nothing'),
  watch_ignore: unneeded('framework dev watches what the app has loaded'),
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
  env_file: (value, { notes }, key) => notes.changed(key, `give start --env-file ${String(value)}`),
  kill_signal: unneeded('each signal that ends a process lets it finish what is in flight'),
  monitoring: unneeded('plugin metrics is there for numbers'), instance_id: unneeded('NODE_APP_INSTANCE is the slot'),
  gc_interval: lost('node_args: --expose-gc and a timer of the app would'),
  health_check_grace_period: unneeded('a worker is ready when it serves'),
  health_check_url: lost('plugins.health-check.port answers /readyz, and context.health() adds checks of the app'),
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

