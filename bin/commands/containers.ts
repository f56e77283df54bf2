import { readdirSync } from 'node:fs';
import path from 'node:path';
import { Command, usageError } from '../command.js';
import type { Argv, Context } from '../common-bin.js';
import { configFlags, jsonFlag, type Flags } from '../flags.js';
import { answer } from '../output.js';
import type { Recipe } from '../container-recipes.js';
import { typedFlags } from '../recipe.js';
import { isAlone, prepared, readRequest } from './config.js';

/** Flags whose value is a file: in the image it is where the app's directory has it. */
const FILES: ReadonlySet<string> = new Set(['config', 'env-file', 'https.key', 'https.cert', 'https.ca']);
/** The same, where it is no name of a package. */
const FILES_OR_NAMES: ReadonlySet<string> = new Set(['require', 'import', 'agent', 'framework']);
const isPath = (text: string): boolean => path.isAbsolute(text) || /^\.{1,2}[\\/]/.test(text);

/** MiB. */
const UNITS: Readonly<Record<string, number>> = { m: 1, mi: 1, mb: 1, mib: 1, g: 1024, gi: 1024, gb: 1024, gib: 1024 };

/** What prints a recipe for a container of the app. */
abstract class RecipeCommand extends Command {
  override get words(): readonly string[] { return ['[target]']; }

  override get takesArguments(): boolean { return true; }

  override get flags(): Flags {
    return {
      ...configFlags,
      ...jsonFlag,
      image: { kind: 'text', description: 'name of the image', standard: 'the title' },
      cpus: { kind: 'text', description: 'processors that the container may use', standard: 'the number of workers, 2 where that is auto' },
      memory: { kind: 'text', description: 'memory that it may use, such as 512Mi', standard: '160 MiB a process' },
    };
  }

  /** What the recipe is made of. @throws ClusterError ERR_CLUSTER_USAGE */
  protected async recipe(argv: Argv): Promise<Recipe> {
    const [cpus, memory] = [this.#cpus(argv), this.#memory(argv)];
    const image = this.text(argv, 'image');
    if (image !== undefined && !/^\w[\w.\-/:@]*$/.test(image)) {
      throw usageError(`--image: expected the name of an image, found "${image}"`);
    }
    const { nameOf } = await import('../container-recipes.js');
    const { config, provenance, target } = await prepared(readRequest(argv, this));
    if (config.port === 0 && config.path === undefined && config.server) {
      throw usageError(`${this.commandName}: port 0 is another one at each start: name one with --port`);
    }
    const { logicalCwd } = await import('../../lib/config/target.js');
    const cwd = logicalCwd();
    const inImage = (file: string): string => path.relative(target.dir, path.resolve(cwd, file)) || '.';
    const given = argv._[0] === undefined ? [] : [inImage(argv._[0])].filter((word) => word !== '.');
    const flags = typedFlags(argv, (name, value) => this.#moved(name, value, cwd, target.dir));
    return {
      config,
      isAuto: provenance.workers?.counted !== undefined,
      isAlone: isAlone(argv),
      hasAgent: target.entry.agent !== undefined || target.entry.framework !== undefined,
      command: [`node_modules/.bin/${this.program}`, 'start', ...given, ...flags, ...this.ending],
      files: new Set(readdirSync(target.dir)),
      image: image ?? nameOf(config.title),
      cpus,
      memory,
      replicas: this.whole(argv, 'replicas', 1) ?? 2,
    };
  }

  #moved(name: string, value: string, cwd: string, dir: string): string {
    if (!FILES.has(name) && !(FILES_OR_NAMES.has(name) && isPath(value))) return value;
    const inside = path.relative(dir, path.resolve(cwd, value));
    if (inside.startsWith('..') || path.isAbsolute(inside)) {
      throw usageError(`--${name}: ${value} lies outside of ${dir}, which is all that the image has`);
    }
    return `./${inside}`;
  }

  #cpus(argv: Argv): number | null {
    const text = this.text(argv, 'cpus');
    if (text === undefined) return null;
    if (/^\d+(?:\.\d+)?$/.test(text) && Number(text) > 0 && Number(text) <= 1_024) return Number(text);
    throw usageError(`--cpus: expected a number from above 0 to 1024, found "${text}"`);
  }

  #memory(argv: Argv): number | null {
    const text = this.text(argv, 'memory');
    if (text === undefined) return null;
    const [, count, unit = ''] = /^(\d+)\s*([a-z]*)$/i.exec(text) ?? [];
    const size = UNITS[unit.toLowerCase()];
    if (count !== undefined && size !== undefined && Number(count) > 0) return Number(count) * size;
    throw usageError(`--memory: expected a size such as 512Mi or 1Gi, found "${text}"`);
  }
}

export class DockerCommand extends RecipeCommand {
  override get description(): string { return 'print a Dockerfile for the app, its numbers filled in'; }

  override get flags(): Flags {
    return {
      ...super.flags,
      compose: { kind: 'switch', description: 'print a compose.yaml instead, which has what belongs to docker run', standard: 'off' },
    };
  }

  override async run({ argv }: Context): Promise<void> {
    const { composeFile, dockerfile } = await import('../container-recipes.js');
    const content = (argv.compose ? composeFile : dockerfile)(await this.recipe(argv)).trimEnd();
    answer({ file: argv.compose ? 'compose.yaml' : 'Dockerfile', content }, content);
    process.exit(0);
  }
}

export class KubernetesCommand extends RecipeCommand {
  override get description(): string { return 'print a Deployment and a Service for the app, their numbers filled in'; }

  override get flags(): Flags {
    return { ...super.flags, replicas: { kind: 'text', description: 'how many pods', standard: '2' } };
  }

  override async run({ argv }: Context): Promise<void> {
    const { kubernetesManifest } = await import('../container-recipes.js');
    const content = kubernetesManifest(await this.recipe(argv)).trimEnd();
    answer({ file: 'kubernetes.yaml', content }, content);
    process.exit(0);
  }
}
