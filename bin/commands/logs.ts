import { statSync } from 'node:fs';
import { ClusterError } from '../../lib/kit/errors.js';
import { LOG_LEVELS } from '../../lib/kit/logger.js';
import { nearest } from '../../lib/kit/misuse.js';
import { Command, usageError } from '../command.js';
import type { Argv, Context } from '../common-bin.js';
import { instanceFlags, type Flags } from '../flags.js';
import { timeIn, type LogFilter } from '../log-entries.js';

export class LogsCommand extends Command {
  override get description(): string { return 'print the log of a daemon'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get flags(): Flags {
    return {
      ...instanceFlags,
      follow: { kind: 'switch', alias: 'f', description: 'go on with what comes, until Ctrl-C', standard: 'off' },
      lines: { kind: 'text', alias: 'n', description: 'how many of the last lines', standard: 'all of them' },
      slot: { kind: 'text', description: 'of this slot, "agent", "app" or "master", and what the master says of it', standard: 'any' },
      level: { kind: 'text', description: 'least important level: debug, info, warn or error', standard: 'all' },
      since: { kind: 'text', description: 'not older: 10m, 2h, 1d, 14:30, 2026-11-27 or with a time', standard: 'the beginning' },
      grep: { kind: 'text', description: 'what matches this regular expression', standard: 'all' },
      json: { kind: 'switch', description: 'for programs, one object an entry', standard: 'off' },
    };
  }

  override async run({ argv }: Context): Promise<void> {
    const lines = this.whole(argv, 'lines', 0);
    const filter = this.#filter(argv);
    const files = await findLogs({ target: argv._[0], title: this.text(argv, 'title') });
    const { printLogs } = await import('../print-logs.js');
    if (!await printLogs(files, { ...filter, lines, follow: argv.follow === true, json: argv.json === true })) process.exitCode = 1;
  }

  #filter(argv: Argv): LogFilter {
    const [slot, level, since, grep] = ['slot', 'level', 'since', 'grep'].map((name) => this.text(argv, name));
    if (slot !== undefined && !/^(?:\d+|agent|app|master)$/.test(slot)) {
      throw usageError(`--slot: expected the number of a slot, "agent", "app" or "master", found "${slot}"`);
    }
    const levels = LOG_LEVELS.filter((one) => one !== 'silent');
    const least = levels.find((one) => one === level);
    if (level !== undefined && least === undefined) {
      const near = nearest(level, levels);
      throw usageError(`--level: expected ${levels.join(', ')}, found "${level}"${near ? `, did you mean "${near}"?` : ''}`);
    }
    return {
      ...(slot === undefined ? {} : { process: /^\d/.test(slot) ? `worker#${Number(slot)}` : slot }),
      ...(least === undefined ? {} : { level: least }),
      ...(since === undefined ? {} : { since: timeIn(since, Date.now()) }),
      ...(grep === undefined ? {} : { grep: expression(grep) }),
    };
  }
}

function expression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw usageError(`--grep: ${(error as Error).message}`);
  }
}

/** The log of the running instance, else the one that the last run left. */
async function findLogs(wanted: { target?: string; title?: string }): Promise<string[]> {
  const { locate } = await import('../locate.js');
  try {
    const { title, pid, log } = await locate(wanted);
    if (!log) throw new ClusterError('ERR_CLUSTER_CONTROL', `${title} (pid ${pid}) is no daemon: its log goes where it was started`);
    const files = [...new Set([log.out, log.err])];
    const pipe = files.find((file) => statSync(file, { throwIfNoEntry: false })?.isFIFO());
    if (pipe) throw new ClusterError('ERR_CLUSTER_CONTROL', `${title} (pid ${pid}) logs to the pipe ${pipe}: its reader has the lines`);
    return files;
  } catch (error) {
    if (!(error instanceof ClusterError) || error.code !== 'ERR_CLUSTER_NOT_RUNNING') throw error;
    const { loadConfig } = await import('../../lib/config/load.js');
    const { logPlaces } = await import('../log-files.js');
    // What there is to run does not matter, and may be named by nothing but the line that started it.
    const { config, target } = await loadConfig({ target: wanted.target, flags: { title: wanted.title, app: process.argv[1] } });
    const place = { title: config.title, dir: target.dir, realDir: target.realDir };
    const left = logPlaces(place).find((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
    if (!left) throw error;
    return [left];
  }
}
