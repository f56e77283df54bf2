import { ClusterError } from '../../lib/kit/errors.js';
import type { ControlClient } from '../client.js';
import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import { instanceFlags, jsonFlag, type Flags } from '../flags.js';
import type { ToldHosts } from '../hosts-page.js';
import { columns, isTerminal, rendered, write } from '../output.js';

/** How often `--watch` asks, ms. */
const WATCH = 1_000;
const HOME_AND_CLEAR = '\u001b[H\u001b[J';

export class StatusCommand extends Command {
  override get description(): string { return 'show a running instance: a table, or JSON'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get flags(): Flags {
    return {
      ...instanceFlags,
      ...jsonFlag,
      all: { kind: 'switch', description: 'all instances of the group, on other hosts too (plugin hosts)', standard: 'off' },
      watch: { kind: 'switch', description: 'show it again every second, until Ctrl-C', standard: 'off' },
    };
  }

  override async run({ argv }: Context): Promise<void> {
    const { locate } = await import('../locate.js');
    const { ControlClient } = await import('../client.js');
    const { statusPage } = await import('../status-page.js');
    const wanted = { target: argv._[0], title: this.text(argv, 'title') };
    const show = async () => {
      if (argv.all) return showAll(new ControlClient(await locate(wanted)), Boolean(argv.json));
      const status = await new ControlClient(await locate(wanted)).status();
      return argv.json ? JSON.stringify(status) : statusPage(status, Date.now(), columns());
    };
    if (!argv.watch) {
      write(1, `${rendered(await show())}\n`);
      return;
    }
    process.once('SIGINT', () => process.exit(0));
    for (;;) {
      const page = await show();
      const inPlace = isTerminal(1) && !argv.json;
      if (!write(1, `${inPlace ? HOME_AND_CLEAR : ''}${rendered(page)}\n${inPlace || argv.json ? '' : '\n'}`)) return;
      await new Promise((resolve) => setTimeout(resolve, WATCH));
    }
  }
}

/** The instances of all hosts, as the one here knows them. */
async function showAll(client: ControlClient, json: boolean): Promise<string> {
  const { status, body } = await client.get('/hosts');
  if (status !== 200) {
    throw new ClusterError('ERR_CLUSTER_USAGE', 'status --all: the instance does not have the plugin "hosts" on: '
      + 'switch it on in its configuration, { "plugins": { "hosts": true } }, and restart it');
  }
  const hosts = JSON.parse(body) as ToldHosts;
  if (json) return JSON.stringify(hosts);
  const { hostsPage } = await import('../hosts-page.js');
  return hostsPage(hosts, columns());
}
