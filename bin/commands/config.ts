import { Environment } from '../../lib/config/environment.js';
import type { LoadedConfig, LoadRequest } from '../../lib/config/load.js';
import type { Config } from '../../lib/config/schema.js';
import { Command } from '../command.js';
import type { Argv, Context } from '../common-bin.js';
import { aloneFlags, configFlags, configFrom, envFilesIn, jsonFlag, type Flags } from '../flags.js';
import { answer, print, style } from '../output.js';
import { masked, namedSecretIn } from '../secrets.js';
import { table } from '../table.js';

/** Flags of a command that reads the configuration and starts nothing. */
export const readFlags: Flags = {
  ...configFlags,
  dev: { kind: 'switch', description: 'as "dev" has it', standard: 'off' },
  ...jsonFlag,
};

/** What `start`, or `dev`, of the program would load. */
export function readRequest(argv: Argv, { beneath }: Command): LoadRequest {
  const command = argv.dev ? 'dev' : 'start';
  // The environment of the children decides the profile, as it would at a start.
  void new Environment(envFilesIn(argv), command);
  const flags = configFrom(readFlags, argv);
  return { ...beneath, target: argv._[0], command, flags: isAlone(argv) ? aloneFlags(flags) : flags };
}

/** As `start --workers 0` has it. */
export const isAlone = (argv: Argv): boolean => !argv.dev && argv.workers === '0';

/**
 * The configuration as a start would have it: plugins may change it, and have looked at their options. What they say while they
 * are applied is no part of an answer; they may leave timers running, so the command ends its process.
 */
export async function prepared(request: LoadRequest): Promise<LoadedConfig> {
  const { loadConfig } = await import('../../lib/config/load.js');
  const { Bootstrap } = await import('../../lib/master/bootstrap.js');
  const bootstrap = new Bootstrap(await loadConfig(request), { dry: true });
  bootstrap.logger.level = 'silent';
  await bootstrap.prepare();
  return bootstrap.loaded;
}

export class ConfigCommand extends Command {
  override get description(): string { return 'print the configuration, and where each value comes from'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get takesArguments(): boolean { return true; }

  override get flags(): Flags {
    return {
      ...readFlags,
      schema: { kind: 'switch', description: 'print its JSON Schema, with the options of the app\'s plugins', standard: 'off' },
      'show-secrets': { kind: 'switch', description: 'print what looks like a secret as it is', standard: 'off' },
    };
  }

  override async run({ argv }: Context): Promise<void> {
    if (argv.schema) {
      const { loadConfig } = await import('../../lib/config/load.js');
      const { ownSchema } = await import('../own-schema.js');
      answer(await ownSchema(await loadConfig(readRequest(argv, this))), undefined, 2);
      process.exit(0);
    }
    const { flatten } = await import('../../lib/config/provenance.js');
    const loaded = await prepared(readRequest(argv, this));
    const { provenance } = loaded;
    const config = (argv['show-secrets'] ? loaded.config : masked(loaded.config, [], namedSecretIn(provenance))) as Config;
    const values = flatten({ config, provenance });
    if (argv.json) {
      const sources = Object.fromEntries(values.map(({ path, value: _, ...source }) => [path, source]));
      const { files, frameworks, profile, target } = loaded;
      answer({ config, sources, files, frameworks, profile, target }, undefined, 2);
      process.exit(0);
    }
    const { app, agent, framework } = loaded.target.entry;
    const modules = Object.entries({ app, agent, framework }).filter(([, file]) => file);
    print([
      `directory  ${loaded.target.dir}`,
      `profile    ${loaded.profile}`,
      ...(isAlone(argv) ? ['process    one, the command\'s own, which has the part of one worker (--workers 0)'] : []),
      ...modules.map(([name, file]) => `${name.padEnd(10)} ${file === true ? 'without a module' : file}`),
      ...loaded.frameworks.toReversed().map(({ name, version = '', folder }) => `runs on    ${`${name} ${version}`.trim()} (${folder})`),
      ...loaded.files.map((file) => `file       ${file}`),
      ...loaded.unused.map((file) => `unused     ${file}`),
    ].join('\n'));
    print();
    print(await table(['key', 'value', 'from'], values.map(({ path, value, from, where, counted, written }) => {
      const how = counted ?? written;
      const source = `${where === undefined || where === from ? from : `${from} ${where}`}${how ? ` (${how})` : ''}`;
      return [path, JSON.stringify(value) ?? String(value), from === 'default' ? style(source, 'dim') : source];
    })));
    process.exit(0);
  }
}
