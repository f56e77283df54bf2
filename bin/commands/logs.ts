import { statSync } from 'node:fs';
import { ClusterError } from '../../lib/kit/errors.js';
import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import { instanceFlags, type Flags } from '../flags.js';

export class LogsCommand extends Command {
  override get description(): string { return 'print the log of a daemon'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get flags(): Flags {
    return {
      ...instanceFlags,
      follow: { kind: 'switch', alias: 'f', description: 'go on with what comes, until Ctrl-C', standard: 'off' },
      lines: { kind: 'text', alias: 'n', description: 'how many of the last lines', standard: 'all of them' },
    };
  }

  override async run({ argv }: Context): Promise<void> {
    const lines = this.whole(argv, 'lines', 0);
    const files = await findLogs({ target: argv._[0], title: this.text(argv, 'title') });
    const { printLogs } = await import('../print-logs.js');
    if (!await printLogs(files, { lines, follow: argv.follow === true })) process.exitCode = 1;
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
