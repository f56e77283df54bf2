import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { runInNewContext } from 'node:vm';
import { defaultLoaders } from 'cosmiconfig';
import { freshImport } from '../../lib/config/modules.js';
import { messageOf } from '../../lib/kit/errors.js';
import { isObject } from '../../lib/kit/misuse.js';
import { usageError } from '../command.js';
import { convert } from './pm2-app.js';
import type { Pm2App } from './pm2-command.js';
import type { Imported } from './report.js';

const NAMES = ['ecosystem.config.js', 'ecosystem.config.cjs', 'ecosystem.config.mjs', 'ecosystem.json', 'ecosystem.config.json',
  'ecosystem.yaml', 'ecosystem.yml', 'ecosystem.config.yaml', 'ecosystem.config.yml', 'pm2.config.js', 'pm2.config.cjs', 'pm2.json',
  'process.json', 'processes.json', 'process.yml', 'pm2.yml', 'pm2.yaml'];

/** Each app of a file of PM2's as a configuration; `skipped`: a line for each that is not Node's. */
export async function importPm2(typed: string | undefined, cwd: string): Promise<{ apps: Imported[]; skipped: string[] }> {
  const standard = () => NAMES.map((name) => path.join(cwd, name)).find((file) => existsSync(file));
  const source = typed === undefined ? standard() : path.resolve(cwd, typed);
  if (source === undefined) throw usageError(`import pm2: there is no ecosystem file in ${cwd}: looked for ${NAMES.join(', ')}`);
  if (!existsSync(source)) throw usageError(`import pm2: no such file: ${typed}`);
  const from = path.dirname(source);
  const content = await read(source);
  const converted = appsIn(content, source).map((app) => ({ app, result: convert(app, from) }));
  const skipped = converted.flatMap(({ result }) => 'why' in result ? [result.why] : []);
  const good = converted.flatMap(({ result }) => 'why' in result ? [] : [result]);
  const taken = new Set<string>();
  const apps = good.map(({ config, notes, dir }): Imported => {
    const alone = good.filter((other) => other.dir === dir).length === 1;
    const title = titleOf(config, dir, alone, taken);
    if (config.title !== undefined && config.title !== title) notes.changed('name', `title ${title}, as another app has this name`);
    if (config.title !== title && !alone) config.title = title;
    if (isObject(content) && content.deploy !== undefined) notes.lost('deploy', 'a deployment over ssh is the matter of another tool');
    const file = path.join(dir, alone ? '.clusterrc' : `${title.replace(/[^\w.@-]+/g, '-')}.clusterrc.json`);
    const start = `cd ${dir} && framework start ${alone ? '' : `--config ${path.basename(file)} `}--daemon`;
    notes.unneeded('pm2 startup, pm2 save', 'framework systemd prints a unit');
    return { file, title, config, notes: notes.all, start };
  });
  return { apps, skipped };
}

/** Two of one name would be one instance; PM2 tells those apart that have none by their scripts. */
function titleOf({ title: given, app }: Record<string, unknown>, dir: string, alone: boolean, taken: Set<string>): string {
  const wanted = String(given ?? (alone ? path.basename(dir) : path.parse(String(app)).name || path.basename(dir)));
  let title = wanted;
  for (let count = 2; taken.has(title); count++) title = `${wanted}-${count}`;
  taken.add(title);
  return title;
}

function appsIn(content: unknown, file: string): Pm2App[] {
  const list = Array.isArray(content) ? content
    : isObject(content) ? (content.apps ?? content.pm2 ?? (content.script === undefined ? undefined : [content])) : undefined;
  const apps = [list ?? []].flat().filter(isObject);
  if (apps.length === 0) throw usageError(`import pm2: ${file} names no apps`);
  return apps;
}

async function read(file: string): Promise<unknown> {
  const text = readFileSync(file, 'utf8');
  try {
    if (/\.ya?ml$/.test(file)) return defaultLoaders['.yaml'](file, text) as unknown;
    // PM2 takes comments and trailing commas there.
    if (file.endsWith('.json')) return runInNewContext(`(${text})`, {}, { filename: file, timeout: 1_000 }) as unknown;
    return await freshImport(file);
  } catch (error) {
    throw usageError(`import pm2: ${file} cannot be read: ${messageOf(error)}`);
  }
}
