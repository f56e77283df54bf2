import { mostWorkers } from '../../lib/config/check.js';
import { heapFor } from '../../plugins/container/heaps.js';
import { bites, count, good, megabytes, note, type Check } from './finding.js';

/** Below it a busy site has no descriptor left for a fork, or a client. */
const FEW_FILES = 4_096;
/** Node's own threads, and those of a heap that is collected: each worker has about a dozen. */
const TASKS_A_PROCESS = 16;
/** What listen() asks for. */
const BACKLOG = 511;
/** A worker that does nothing has about this much, bytes. */
const SMALL_WORKER = 64 * 2 ** 20;
/** Many an app does not come up with less heap, MB. */
const SMALL_HEAP = 64;
/** Files that are written in a build, or copied from elsewhere, may be a little newer than now, ms. */
const BEHIND = 60_000;

/** With something to run: a shell that a person has opened in a container is another matter. */
const isShell = (command: string): boolean => /^(?:\S*\/)?(?:ba|da|a|z)?sh\s+\S/.test(command);
const isScriptRunner = (command: string): boolean =>
  /^(?:\S*node\s+)?(?:\S*\/)?(?:npm|npx|yarn|pnpm)(?:-cli\.js|\.c?js)?(?:\s|$)/.test(command);

/** Bytes that the flags give each heap. */
function heapIn(execArgv: readonly string[]): number | undefined {
  const [, megabytesSaid] = /(?:^| )--max[-_](?:old[-_]space|heap)[-_]size[= ](\d+)(?: |$)/.exec(execArgv.join(' ')) ?? [];
  return megabytesSaid === undefined ? undefined : Number(megabytesSaid) * 2 ** 20;
}

/** Of the machine, or the container. */
export const MACHINE_CHECKS: readonly Check[] = [
  {
    name: 'process 1',
    look({ machine: { container, first } }) {
      if (container === null || first === null) return null;
      if (isShell(first)) return bites(`a shell is process 1 (${first}): it passes no signal on, a stop ends in SIGKILL`,
        'use the list form: CMD ["framework", "start"], or exec in the script');
      if (isScriptRunner(first)) return bites(`a script runner is process 1 (${first}): signals may not come through`,
        'CMD ["node_modules/.bin/framework", "start"], without it');
      return good(`${first.slice(0, 80)}, in ${container}`);
    },
  },
  {
    name: 'open files',
    look({ machine, running }) {
      const limit = typeof running === 'object' && running ? running.openFiles ?? machine.openFiles : machine.openFiles;
      if (limit === null) return null;
      return limit < FEW_FILES ? bites(
        `a process may have ${limit} descriptors: each connection takes one`,
        'raise it: ulimit -n 65536, LimitNOFILE=65536 in a unit, --ulimit nofile=65536 of docker',
      ) : good(limit === Infinity ? 'no limit' : String(limit));
    },
  },
  {
    name: 'limits',
    look({ machine: { processes, addressSpace, fileSize, pids }, config }) {
      const needed = ((config ? mostWorkers(config) : 1) + 2) * TASKS_A_PROCESS;
      const left = pids && pids.max - pids.current;
      return [
        ...(processes !== null && processes < needed ? [bites(`this user may have ${processes} processes and threads, ${needed} are needed`,
          'raise ulimit -u')] : []),
        ...(left !== null && left < needed ? [bites(`the container has room for ${left} processes and threads more, ${needed} are needed`,
          'raise --pids-limit, or TasksMax= of the unit')] : []),
        ...(addressSpace !== null && addressSpace !== Infinity ? [bites(
          `the address space of a process is limited to ${megabytes(addressSpace)}: Node reserves more than it uses`, 'ulimit -v unlimited',
        )] : []),
        ...(fileSize !== null && fileSize !== Infinity ? [bites(
          `a file may have ${megabytes(fileSize)} at most: a log that reaches it ends the process (SIGXFSZ)`, 'ulimit -f unlimited',
        )] : []),
      ];
    },
  },
  {
    name: 'kernel',
    look: ({ machine: { somaxconn, migrates, watches, clocksource }, config }) => [
      somaxconn === null ? null : somaxconn < BACKLOG ? bites(
        `net.core.somaxconn is ${somaxconn}: more clients than that who come at once are refused`, 'sysctl -w net.core.somaxconn=4096',
      ) : good(`net.core.somaxconn ${somaxconn}`),
      config?.balance === 'reuse-port' && migrates === false ? bites(
        'net.ipv4.tcp_migrate_req is 0 with balance "reuse-port": what waits at a worker that dies is reset',
        'sysctl -w net.ipv4.tcp_migrate_req=1 (Linux 5.14), or another balance',
      ) : null,
      watches !== null && watches < 8_192 ? note(
        `fs.inotify.max_user_watches is ${watches}: dev may miss saves`, 'sysctl -w fs.inotify.max_user_watches=524288',
      ) : null,
      clocksource === 'hpet' || clocksource === 'acpi_pm' ? note(
        `the clock source is ${clocksource}: each look at the time is a slow system call`,
        'boot with clocksource=tsc, or another kind of machine',
      ) : null,
    ],
  },
  {
    name: 'processors',
    look({ machine: { processors, quota }, config }) {
      const have = quota === null ? processors : Math.min(processors, quota);
      if (!config) return null;
      const workers = mostWorkers(config);
      if (workers > 1.5 * Math.max(1, Math.ceil(have))) return note(
        `${count(workers, 'worker')} on ${Number(have.toFixed(2))} processor${have === 1 ? '' : 's'}`, 'workers: "auto"',
      );
      return good(`${Number(have.toFixed(2))}${quota === null ? '' : ' (a quota)'} for ${count(workers, 'worker')}`);
    },
  },
  {
    name: 'memory',
    look({ machine: { memory }, config, hasAgent }) {
      if (!config) return null;
      const { memory: rule, reload, execArgv } = config;
      const workers = mostWorkers(config);
      if (!memory) {
        return rule === 'limit' ? note('memory is "limit", and there is no container\'s limit: heaps are as Node has them',
          'a limit for the container, or memory: "watch"') : null;
      }
      const each = (memory.limit - SMALL_WORKER) / workers;
      const limit = `the container's limit is ${megabytes(memory.limit)}`;
      if (each < SMALL_WORKER) return bites(`${limit}: ${megabytes(Math.max(0, each))} a worker`, 'fewer workers, or a higher limit');
      const said = heapIn(execArgv);
      if (said !== undefined && said * workers > memory.limit) {
        return bites(`${limit}, and execArgv lets the heap of each of ${count(workers, 'worker')} grow to ${megabytes(said)}`,
          'memory: "limit" in its place, or a smaller heap');
      }
      const share = memory.workingSet / memory.limit;
      if (share > 0.9) {
        return bites(`${limit}, and ${Math.round(share * 100)} % of it is in use`,
          'fewer workers, a higher limit, or maxRss of health-check');
      }
      if (rule === 'off') return note(`${limit}, and memory is "off": as it runs out the kernel kills, and cuts`, 'memory: "watch"');
      if (rule !== 'limit' || said !== undefined) return good(`${limit}, ${megabytes(each)} a worker, memory "${rule}"`);
      const heap = heapFor(memory.limit, workers + Math.min(reload.batch, workers) + (hasAgent ? 1 : 0));
      return heap < SMALL_HEAP ? bites(`${limit}: with memory "limit" a heap has ${heap} MB`, 'fewer workers, a higher limit, or "watch"')
        : good(`${limit}, memory "limit": a heap has ${heap} MB`);
    },
  },
  {
    name: 'clock',
    look({ machine: { behind, synchronized } }) {
      if (behind > BEHIND) {
        return bites(`files of the app are ${Math.round(behind / 1_000)} s newer than now: the clock is behind`,
          'set it, and have it kept (chrony, timesyncd)');
      }
      if (synchronized === false) return note('nobody keeps the clock: it is not synchronized', 'timedatectl set-ntp true');
      return good('as it should be');
    },
  },
];
