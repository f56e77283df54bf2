import { ClusterError } from '../../lib/kit/errors.js';
import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import { instanceFlags, jsonFlag, type Flags } from '../flags.js';
import { answer } from '../output.js';

/** Longer than a graceful exit takes by default, ms. */
export const STOP_TIMEOUT = 60_000;

export const stopFlags: Flags = {
  force: { kind: 'switch', description: 'kill what is left after the deadline', standard: 'off' },
  timeout: { kind: 'text', description: 'the deadline, ms', standard: String(STOP_TIMEOUT) },
};

export class StopCommand extends Command {
  override get description(): string { return 'close a running instance and wait for its end'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get flags(): Flags {
    return {
      ...instanceFlags, ...stopFlags,
      ...jsonFlag,
      'if-running': { kind: 'switch', description: 'exit with 0 when nothing runs', standard: 'off' },
    };
  }

  override async run({ argv }: Context): Promise<void> {
    const timeout = this.whole(argv, 'timeout', 0, 'whole milliseconds') ?? STOP_TIMEOUT;
    const { locate } = await import('../locate.js');
    const { stopInstance } = await import('../stop-instance.js');
    const record = await locate({ target: argv._[0], title: this.text(argv, 'title') }).catch((error: unknown) => {
      if (argv['if-running'] && error instanceof ClusterError && error.code === 'ERR_CLUSTER_NOT_RUNNING') return error.message;
      throw error;
    });
    if (typeof record === 'string') {
      answer({ stopped: false, message: record }, record);
      return;
    }
    const started = Date.now();
    if (!await stopInstance(record, { force: argv.force === true, timeout })) {
      throw new ClusterError('ERR_CLUSTER_CONTROL',
        `${record.title} (pid ${record.pid}) is still there after ${timeout} ms; --force kills what is left`);
    }
    const { title, pid } = record;
    const took = Date.now() - started;
    answer({ stopped: true, title, pid, took }, `${title} stopped (pid ${pid}, ${took} ms)`);
  }
}
