import type { ReloadResult } from '../../lib/api/control.js';
import type { InstanceRecord } from '../../lib/control/registry.js';
import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import { environmentFlags, instanceFlags, jsonFlag, type Flags } from '../flags.js';
import { answer } from '../output.js';

export class ReloadCommand extends Command {
  override get description(): string { return 'replace all workers, then the agent, without a lost request'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get flags(): Flags {
    return {
      ...instanceFlags,
      agent: { kind: 'switch', negative: true, description: 'leave the agent as it is', standard: 'off' },
      queue: { kind: 'switch', description: 'wait for what is under way, in place of being refused', standard: 'off' },
      ...environmentFlags,
      ...jsonFlag,
    };
  }

  override async run({ argv }: Context): Promise<void> {
    const { locate } = await import('../locate.js');
    const { order } = await import('../order.js');
    const record = await locate({ target: argv._[0], title: this.text(argv, 'title') });
    const query = new URLSearchParams({ agent: argv.agent === false ? '0' : '1', queue: argv.queue ? '1' : '0', reason: 'command' });
    const body = argv['env-from-shell'] ? { env: await this.#environment(record) } : undefined;
    const result = await order<Partial<ReloadResult>>(record, `/reload?${query}`, body);
    const { replaced, took, generation, cut = 0 } = result;
    const workers = `${replaced} worker${replaced === 1 ? '' : 's'}`;
    const lost = cut > 0 ? `; ${cut} request${cut === 1 ? ' was' : 's were'} cut at the deadline, see the log` : '';
    const words = `${record.title} reloaded: ${workers} replaced in ${took} ms, generation ${generation}${lost}`;
    answer({ title: record.title, ...result }, words);
  }

  /** An older master would reload without it. */
  async #environment(record: InstanceRecord): Promise<Record<string, string>> {
    const { environmentFor, silent, tellEnvironment } = await import('../environment.js');
    const succession = await environmentFor(record, true);
    if (!succession.launch) throw silent(record);
    tellEnvironment(succession);
    return succession.env;
  }
}
