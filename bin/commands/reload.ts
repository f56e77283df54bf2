import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import { instanceFlags, type Flags } from '../flags.js';
import { print } from '../output.js';

export class ReloadCommand extends Command {
  override get description(): string { return 'replace all workers, then the agent, without a lost request'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get flags(): Flags {
    return {
      ...instanceFlags,
      agent: { kind: 'switch', negative: true, description: 'leave the agent as it is', standard: 'off' },
      queue: { kind: 'switch', description: 'wait for what is under way, in place of being refused', standard: 'off' },
    };
  }

  override async run({ argv }: Context): Promise<void> {
    const { locate } = await import('../locate.js');
    const { order } = await import('../order.js');
    const record = await locate({ target: argv._[0], title: this.text(argv, 'title') });
    const query = new URLSearchParams({ agent: argv.agent === false ? '0' : '1', queue: argv.queue ? '1' : '0', reason: 'command' });
    const { replaced, took, generation } = await order<{ replaced: number; took: number; generation: number }>(record, `/reload?${query}`);
    const workers = `${replaced} worker${replaced === 1 ? '' : 's'}`;
    print(`${record.title} reloaded: ${workers} replaced in ${took} ms, generation ${generation}`);
  }
}
