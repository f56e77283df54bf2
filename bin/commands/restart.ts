import type { InstanceRecord } from '../../lib/control/registry.js';
import { ClusterError } from '../../lib/kit/errors.js';
import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import { instanceFlags, type Flags } from '../flags.js';
import { print } from '../output.js';
import { StartCommand } from './start.js';
import { STOP_TIMEOUT, stopFlags } from './stop.js';

export class RestartCommand extends Command {
  override get description(): string { return 'stop a running instance, and start it as a daemon with the arguments it had'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get flags(): Flags { return { ...instanceFlags, ...stopFlags }; }

  override async run({ argv }: Context): Promise<void> {
    const timeout = this.whole(argv, 'timeout', 0, 'whole milliseconds') ?? STOP_TIMEOUT;
    const { locate } = await import('../locate.js');
    const { stopInstance } = await import('../stop-instance.js');
    const { startDaemon } = await import('../launch.js');
    const { chooseLogs } = await import('../log-files.js');
    const record = await locate({ target: argv._[0], title: this.text(argv, 'title') });
    const { title, dir, command } = record;
    const who = `${title} (pid ${record.pid})`;
    if (command === 'dev') {
      throw new ClusterError('ERR_CLUSTER_CONTROL', `${who} runs in a terminal for development: type rs there, or stop it`);
    }
    await this.#checkConfig(record);
    const log = record.log ?? chooseLogs({}, { title, dir, realDir: dir });
    if (!await stopInstance(record, { force: argv.force === true, timeout })) {
      throw new ClusterError('ERR_CLUSTER_CONTROL',
        `${who} is still there after ${timeout} ms, so it was not started again; --force kills what is left`);
    }
    print(`${title} stopped (pid ${record.pid})`);
    process.env.NODE_ENV ||= 'production';
    process.exitCode = await startDaemon({ ...record, log });
  }

  /** A configuration that has become wrong must not be found out when the old instance is gone. */
  async #checkConfig({ argv: [, word = 'start', ...rest], cwd }: InstanceRecord): Promise<void> {
    const start = new (this.siblings.get(word) ?? StartCommand)(rest);
    if (!(start instanceof StartCommand)) return;
    const { loadConfig } = await import('../../lib/config/load.js');
    await loadConfig({ ...start.request(start.context.argv).load, cwd });
  }
}
