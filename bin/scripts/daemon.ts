import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { listInstances } from '../../lib/control/registry.js';
import { connect } from '../client.js';
import { launch } from '../launch.js';
import type { MasterRequest } from '../master.js';
import { print, printError } from '../output.js';
import { stopInstance } from '../stop-instance.js';
import type { Settings } from './settings.js';

/** What a failed start gets to end by itself, ms. */
const GRACE = 5_000;
/** Characters of a log that are shown. */
const SHOWN = 8_000;

/** Starts a daemon with fresh logs, counts the seconds, and looks at the errors that it has logged meanwhile. */
export async function launchAsScripts(request: MasterRequest, settings: Settings, program: string): Promise<number> {
  const { stdout, stderr, timeout, frameworkName, title, baseDir, ignoreStderr } = settings;
  const say = (text: string) => print(`[${program}] ${text}`);
  const complain = (text: string) => printError(`[${program}] ${text}`);
  for (const file of [stdout, stderr]) setAside(file);
  let seconds = 0;
  const counting = setInterval(() => {
    say(`Wait Start: ${++seconds}...`);
    if (seconds * 1_000 < timeout) return;
    clearInterval(counting);
    complain(`Start failed, ${timeout / 1_000}s timeout`);
    // The launcher listens, and ends what it has started.
    process.emit('SIGTERM');
  }, 1_000);
  const code = await launch(request).finally(() => clearInterval(counting));
  if (code !== 0) return code;
  const record = (await listInstances()).find((one) => one.title === title && one.dir === baseDir);
  const { address } = record ? await (await connect(baseDir, { title })).status() : { address: null };
  say(`${frameworkName} started on ${address ?? 'no address'}`);
  const errors = errorsIn(stderr);
  if (errors === '') return 0;
  complain('Got error when startup: ');
  printError(errors);
  complain(`Start got error, see ${stderr}`);
  complain('Or use `--ignore-stderr` to ignore stderr at startup.');
  if (ignoreStderr) return 0;
  if (record) await stopInstance(record, { force: true, timeout: GRACE });
  return 1;
}

/** A log of an earlier start keeps its lines under the time of this one: `.20150602.193100`. */
function setAside(file: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  if (!existsSync(file)) return;
  const [date = '', time = ''] = new Date(Date.now() - new Date().getTimezoneOffset() * 60_000).toISOString().split('T');
  renameSync(file, `${file}.${date.replaceAll('-', '')}.${time.slice(0, 8).replaceAll(':', '')}`);
}

/** What was written there, but for warnings of our own. */
function errorsIn(file: string): string {
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.filter((line) => !/^\S+ \S+ WARN \d+ \[(?:master|agent|worker#\d+)\] /.test(line)).join('\n').trim().slice(0, SHOWN);
  } catch {
    return '';
  }
}
