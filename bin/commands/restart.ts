import { ClusterError } from '../../lib/kit/errors.js';
import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import { environmentFlags, instanceFlags, jsonFlag, type Flags } from '../flags.js';
import { STOP_TIMEOUT, stopFlags } from './stop.js';

export class RestartCommand extends Command {
  override get description(): string { return 'stop a running instance, and start it as a daemon with the arguments it had'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get flags(): Flags { return { ...instanceFlags, ...stopFlags, ...environmentFlags, ...jsonFlag }; }

  override async run({ argv }: Context): Promise<void> {
    const asked = this.whole(argv, 'timeout', 0, 'whole milliseconds');
    const { finishRestart, restartApart } = await import('../restart-apart.js');
    if (process.env.HATCHERY_RESTART !== undefined) {
      process.exitCode = await finishRestart();
      return;
    }
    const { locate } = await import('../locate.js');
    const { environmentFor, tellEnvironment, tellNode } = await import('../environment.js');
    const { checkRestart } = await import('../restart-check.js');
    const record = await locate({ target: argv._[0], title: this.text(argv, 'title') });
    const { title, pid, command } = record;
    if (command === 'dev') {
      throw new ClusterError('ERR_CLUSTER_CONTROL', `${title} (pid ${pid}) runs in a terminal for development: type rs there, or stop it`);
    }
    const succession = await environmentFor(record, argv['env-from-shell'] === true);
    const next = await checkRestart(record, succession.launch, succession.env);
    tellEnvironment(succession);
    tellNode(succession.launch);
    const force = argv.force === true;
    // It has been told to close then and will: who stopped waiting before that would leave nothing behind.
    const own = asked !== undefined && force ? 0 : succession.launch?.closesWithin ?? STOP_TIMEOUT;
    process.exitCode = await restartApart({ record, next, force, timeout: Math.max(asked ?? STOP_TIMEOUT, own) });
  }
}
