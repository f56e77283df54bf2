import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { usageError } from '../command.js';
import { Notes, type Imported } from './report.js';

interface Manifest {
  name?: string;
  scripts?: Record<string, string>;
  egg?: { framework?: string; typescript?: boolean; revert?: string | string[] };
  eggScriptsConfig?: Record<string, unknown>;
}

/** What the app's package.json says to egg-scripts: `eggScriptsConfig`, `egg`, and the flags in its scripts. */
export function importEggScripts(typed: string | undefined, cwd: string): Imported {
  const dir = path.resolve(cwd, typed ?? '.');
  const file = path.join(dir, 'package.json');
  if (!existsSync(file)) throw usageError(`import egg-scripts: there is no ${file}`);
  const { name, scripts = {}, egg = {}, eggScriptsConfig = {} } = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  const [script, line] = Object.entries(scripts).find(([, text]) => /\begg(?:-scripts|ctl) start\b/.test(text)) ?? [];
  if (line === undefined && Object.keys(eggScriptsConfig).length === 0) {
    throw usageError(`import egg-scripts: ${file} has no script with "egg-scripts start", and no eggScriptsConfig`);
  }
  const notes = new Notes();
  const given = { ...eggScriptsConfig, ...flagsOf(line ?? '') };
  const config: Record<string, unknown> = { title: `egg-server-${name ?? path.basename(dir)}` };
  const execArgv: string[] = [];
  for (const [key, value] of Object.entries(given)) setting(key, value, config, execArgv, notes);
  if (egg.framework !== undefined) notes.kept('egg.framework', 'read from package.json as ever');
  if (egg.typescript) execArgv.push('--enable-source-maps');
  if (egg.typescript) notes.kept('egg.typescript', 'execArgv --enable-source-maps');
  for (const revert of [egg.revert ?? []].flat()) execArgv.push(`--security-revert=${revert}`);
  if (execArgv.length > 0) config.execArgv = execArgv;
  if (script !== undefined) notes.changed(`scripts.${script}`, 'framework start --daemon; or hatchery-scripts start with the flags it has');
  notes.changed('egg-scripts stop', 'framework stop: requests in flight are answered');
  notes.changed('~/logs/master-stdout.log', 'logs/<title>.log in the app\'s directory; --stdout and --stderr say another one');
  const start = `cd ${dir} && framework start --daemon`;
  return { file: path.join(dir, '.clusterrc'), title: String(config.title), config, notes: notes.all, start };
}

function flagsOf(line: string): Record<string, unknown> {
  const words = Array.from(line.matchAll(/--([\w.-]+)(?:[= ](?!-)("[^"]*"|'[^']*'|\S+))?|-([pcr])[= ](\S+)/g));
  const short: Readonly<Record<string, string>> = { p: 'port', c: 'workers', r: 'require' };
  return Object.fromEntries(words.map(([, name, value, letter, other]) =>
    [name ?? short[letter ?? ''] ?? '', other ?? (value === undefined ? true : value.replace(/^["']|["']$/g, ''))]));
}

const NUMBERS: Readonly<Record<string, string>> = { port: 'port', workers: 'workers', cluster: 'workers', c: 'workers', p: 'port' };
const UNNEEDED: Readonly<Record<string, string>> = {
  daemon: 'a flag of start', 'ignore-stderr': 'what is logged does not fail a start here', node: 'start it with that Node.js',
};

function setting(key: string, value: unknown, config: Record<string, unknown>, execArgv: string[], notes: Notes): void {
  const number = NUMBERS[key];
  if (number !== undefined) {
    config[number] = Number(value);
    notes.kept(key, number);
  } else if (key === 'title' || key === 'framework') {
    config[key] = value;
    notes.kept(key, key);
  } else if (key === 'env') {
    config.env = { EGG_SERVER_ENV: String(value) };
    notes.changed(key, 'env.EGG_SERVER_ENV; start --env chooses a profile');
  } else if (key === 'timeout') {
    config.startTimeout = Number(value);
    notes.kept(key, 'startTimeout');
  } else if (key === 'require') {
    config.require = [value].flat();
    notes.kept(key, 'require');
  } else if (/^(?:sourcemap|ts|typescript)$/.test(key)) {
    if (value !== false && value !== 'false') execArgv.push('--enable-source-maps');
    notes.kept(key, 'execArgv --enable-source-maps');
  } else if (key.startsWith('node-options--')) {
    execArgv.push(value === true ? `--${key.slice(14)}` : `--${key.slice(14)}=${String(value)}`);
    notes.kept(key, 'execArgv');
  } else if (key === 'stdout' || key === 'stderr') notes.changed(key, `give start --daemon --${key} ${String(value)}`);
  else if (key in UNNEEDED) notes.unneeded(key, UNNEEDED[key] as string);
  else {
    const plugins = (config.plugins ??= { egg: { options: {} } }) as { egg: { options: Record<string, unknown> } };
    plugins.egg.options[key] = value;
    notes.kept(key, `plugins.egg.options.${key}`);
  }
}
