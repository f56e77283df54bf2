import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { getHeapCodeStatistics } from 'node:v8';
import { requiredFiles, type Runtime } from '../../lib/runtime.js';
import { AT_ONCE } from './messages.js';

/** How often is looked whether it is up, ms. */
const LOOK = 20;
/** A start that takes longer tells what it has loaded so far, ms. */
const LONG = 1_000;
/** Modules that are imported are asked for when the first answers are out, ms. */
const SOON = 200;
/** Then again, as more may be loaded later, at first after 1 s and at last each 10 s. */
const FIRST = 1_000;
const LAST = 10_000;
/** Names of one process; more are no application's. */
const MOST = 50_000;

const OURS = path.join(import.meta.dirname, '../..');
const INSTALLED = `${path.sep}node_modules${path.sep}`;
const isOfApp = (file: string): boolean => path.isAbsolute(file) && !file.includes(INSTALLED) && !file.startsWith(OURS);

/** Tells the master which files this process is made of, but for what is installed. */
export function tellLoaded(runtime: Runtime): void {
  const told = new Set<string>();
  const fresh = (files: string[]): string[] => {
    const found = files.map((file) => file.replace(/\?.*$/s, '')).filter((file) => !told.has(file) && isOfApp(file));
    for (const file of found) told.add(file);
    return told.size > MOST ? [] : [...new Set(found)];
  };
  const tell = (files: string[], early = false): void => {
    for (let at = 0; at < files.length; at += AT_ONCE) {
      runtime.channel.send('dev.loaded', { files: files.slice(at, at + AT_ONCE), early });
    }
  };
  tell(fresh([...preloaded(process.execArgv), ...requiredFiles()]), true);

  const until = performance.now() + LONG;
  const up = setInterval(() => {
    if (!runtime.ready && performance.now() < until) return;
    clearInterval(up);
    runtime.channel.send('dev.loaded', { files: fresh(requiredFiles()), early: false });
    setTimeout(() => more(FIRST, 0), SOON).unref();
  }, LOOK).unref();
  const more = (wait: number, before: number): void => {
    const code = getHeapCodeStatistics().bytecode_and_metadata_size;
    // Nothing was compiled since, so nothing was loaded.
    tell(fresh(code === before ? requiredFiles() : [...requiredFiles(), ...importedFiles()]));
    setTimeout(() => more(Math.min(LAST, 2 * wait), code), wait).unref();
  };
  process.on('exit', () => {
    if (runtime.ready) return;
    // The next save may be in any of them.
    const files = fresh([...requiredFiles(), ...importedFiles()]).slice(0, AT_ONCE);
    if (files.length > 0) runtime.channel.sendLast('dev.loaded', { files, early: false });
  });
}

const PRELOADS = /^(--env-file|--env-file-if-exists|--import|--require|-r)(?:=(.*))?$/s;

/** Files that Node's own options name; of packages nobody asks. */
function preloaded(options: readonly string[]): string[] {
  return options.flatMap((option, at) => {
    const [, name, value = options[at + 1] ?? ''] = PRELOADS.exec(option) ?? [];
    if (name === undefined) return [];
    if (value.startsWith('file:')) return [fileURLToPath(value)];
    return name.startsWith('--env') || /^\.{0,2}[\\/]/.test(value) ? [path.resolve(value)] : [];
  });
}

/**
 * ES modules, of which nobody keeps a list that can be read: each script is told to a debugger that is there for this one
 * moment. It takes some 10 ms for 1,000 of them, at the first time 60.
 */
function importedFiles(): string[] {
  const files: string[] = [];
  try {
    const { Session } = process.getBuiltinModule('node:inspector');
    const session = new Session();
    session.connect();
    session.on('Debugger.scriptParsed', ({ params: { url } }) => {
      if (url.startsWith('file:')) files.push(fileURLToPath(url.replace(/[?#].*$/s, '')));
    });
    session.post('Debugger.enable');
    session.post('Debugger.disable');
    session.disconnect();
  } catch {
    // A Node without it; what was required is known all the same.
  }
  return files;
}
