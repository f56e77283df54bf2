import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import { configFlags, type Flags } from '../flags.js';
import { answer } from '../output.js';
import { readFlags, readRequest } from './config.js';

export class DoctorCommand extends Command {
  override get description(): string { return 'look at machine, limits, container, versions and configuration for what would bite'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get flags(): Flags {
    return {
      ...configFlags,
      ...readFlags,
      grace: {
        kind: 'text', description: 'seconds that whoever stops the service waits before it kills', standard: 'what is found',
      },
    };
  }

  override async run({ argv }: Context): Promise<void> {
    const grace = this.whole(argv, 'grace', 0, 'whole seconds');
    const { examine } = await import('../doctor/examine.js');
    const { findings } = await import('../doctor/finding.js');
    const { MACHINE_CHECKS } = await import('../doctor/machine-checks.js');
    const { SERVICE_CHECKS } = await import('../doctor/service-checks.js');
    const { machineLine, report, shown } = await import('../doctor/report.js');
    const wanted = { target: argv._[0], title: this.text(argv, 'title') };
    const facts = await examine({ load: readRequest(argv, this), wanted, grace });
    const found = findings(facts, [...SERVICE_CHECKS, ...MACHINE_CHECKS]).map(shown);
    const bites = found.some(({ level }) => level === 'bites');
    answer({ ok: !bites, machine: machineLine(facts), findings: found }, await report(facts, found));
    // A plugin may have left a timer running.
    process.exit(bites ? 1 : 0);
  }
}
