import { autoWorkers, cpuQuota, definePlugin, memoryLimit, processors, type Plugin, type Status } from '../../lib/index.js';
import { Following, type Limits } from './following.js';
import { Heaps } from './heaps.js';
import { schema, type ContainerOptions } from './options.js';
import { Pressure } from './pressure.js';

const NAME = 'container';
/** Between two looks, ms: a leak may be fast. Each reads a handful of the kernel's files, a fifth of a millisecond. */
const INTERVAL = 500;

/** `root`: where the kernel's files are, for tests. */
export const containerPlugin = (root?: string): Plugin<ContainerOptions> => definePlugin({
  name: NAME,
  schema,
  apply(master) {
    if (process.platform !== 'linux') return;
    const { hooks } = master;
    const heaps = new Heaps(NAME, master, () => memoryLimit(root));
    const pressure = new Pressure(NAME, master);
    const following = new Following(master, heaps);

    const limits = (): Limits => {
      const cpus = cpuQuota(root);
      const isCounted = master.origin('workers').counted !== undefined;
      const workers = isCounted ? autoWorkers(process.env, cpus, processors(root)).workers : null;
      return { cpus, memory: memoryLimit(root), workers };
    };
    const look = (): void => {
      const seen = limits();
      following.look(seen);
      if (seen.memory && master.config.memory !== 'off') pressure.look(seen.memory);
    };
    let timer: NodeJS.Timeout | undefined;
    hooks.clusterReady.tap(NAME, () => {
      look();
      timer = setInterval(master.guard('limits', look), INTERVAL);
    });
    hooks.beforeClose.tap(NAME, () => clearInterval(timer));
    hooks.collectStatus.tap(NAME, (status): Status => {
      const { cpus, memory } = limits();
      const heap = heaps.wanted;
      return { ...status, container: { cpus, memory, heap: heap === null ? null : heap * 2 ** 20 } };
    });
  },
});

/** What the limits of a container mean for its workers: their heaps, who goes when memory runs out, how many there are. */
export default containerPlugin();
