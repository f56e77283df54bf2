import { hasControllingTerminal, outliveTerminal, signalledByTerminal, startedAtTerminal } from '../../kit/terminal.js';
import type { Core } from '../core.js';
import { mindTerminal } from '../terminal.js';
import { orderReload, reopenLogs } from './reload.js';
import { orderScale } from './scale.js';
import { close, closeAndExit } from './shutdown.js';

/** A terminal's Ctrl-C reaches the master twice where npm or a shell passes it on as well: within this time (ms) it is one. */
const ONE_PRESS = 500;
/** Windows knows neither the job-control signals nor SIGQUIT. */
const ON_WINDOWS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];

/** What logrotate and others send after they have moved the files away, and nothing more. */
function rotated(core: Core, signal: NodeJS.Signals): void {
  const { logger, logFiles } = core;
  reopenLogs(core);
  const said = `receive signal ${signal}`;
  if (!logFiles.any) logger.info(`${said}: lines go to the output of the start, so there is no log file to open anew`);
  else if (logFiles.failure !== null) logger.info(`${said}: lines go on to the log files that are open`);
  else if (core.options.alone) logger.info(`${said}: log files are opened anew`);
  else if (logFiles.throughMaster) logger.info(`${said}: log files are opened anew, for what agent and workers print too`);
  else logger.info(`${said}: log files are opened anew; agent and workers hold theirs open themselves, and follow at the next reload`);
}

/**
 * Node opens its debugger at SIGUSR1 where nobody listens, and once somebody has listened the signal ends the process: so
 * somebody always does.
 */
function ignore(): void {}
/** A terminal that goes takes what runs in it along; of a daemon nothing does. */
const hangsUp = ({ options }: Core): boolean => startedAtTerminal && options.logFiles === undefined;

/** Signals become calls, nothing more happens in a handler. Returns what takes the handlers off again. */
export function listenToSignals(core: Core): () => void {
  outliveTerminal();
  let closedAt = -Infinity;
  const end = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (!core.life.closing) {
      closedAt = now;
      core.logger.info(`receive signal ${signal}, closing`);
      core.faults.watch(signal, closeAndExit(core, signal));
    } else if (now - closedAt > ONE_PRESS) {
      // A close is under way already, asked for by `stop` perhaps: then the first signal hurries.
      core.logger.warn(`receive signal ${signal} again, killing what is left`);
      core.faults.watch(signal, close(core, signal, { force: true }));
    }
  };
  const scaled = (signal: NodeJS.Signals): void => orderScale(core, signal === 'SIGTTIN' ? 1 : -1);
  const handlers: Handlers = {
    SIGTERM: end,
    SIGINT: end,
    SIGQUIT: end,
    SIGHUP: (signal) => {
      if (!hangsUp(core)) {
        reopenLogs(core);
        orderReload(core, 'SIGHUP');
      // A shell says it as well: that is no hurry.
      } else if (!core.life.closing) end(signal);
    },
    SIGUSR1: (signal) => rotated(core, signal),
    SIGUSR2: (signal) => rotated(core, signal),
    ...(hasControllingTerminal() ? {} : { SIGTTIN: scaled, SIGTTOU: scaled }),
  };
  if (hasControllingTerminal()) {
    const ignored = (signal: NodeJS.Signals) => core.logger.warn(
      `${signal} is the terminal's here: \`framework scale\` changes the number of workers`);
    const handler = signalledByTerminal() ? ignored : scaled;
    mindTerminal(core.faults.guard('SIGTTIN, SIGTTOU', handler));
  }
  return listen(core, handlers);
}

/** Of `--workers 0`, whose end is another's business: there is nobody to reload, and one process more or fewer cannot be. */
export function listenToRotation(core: Core): () => void {
  const reopens = (signal: NodeJS.Signals): void => rotated(core, signal);
  const scaled = (signal: NodeJS.Signals): void => core.logger.warn(
    `receive signal ${signal}: the app runs in the master's own process (--workers 0), whose number stays`);
  return listen(core, {
    SIGUSR1: reopens,
    SIGUSR2: reopens,
    ...(startedAtTerminal ? {} : { SIGHUP: reopens }),
    // A terminal's own do to it what they do to any job: the app may read and write there itself.
    ...(hasControllingTerminal() ? {} : { SIGTTIN: scaled, SIGTTOU: scaled }),
  });
}

type Handlers = Partial<Record<NodeJS.Signals, (signal: NodeJS.Signals) => void>>;

function listen(core: Core, handlers: Handlers): () => void {
  const known = (Object.entries(handlers) as [NodeJS.Signals, NodeJS.SignalsListener][])
    .filter(([name]) => process.platform !== 'win32' || ON_WINDOWS.includes(name))
    .map(([name, handler]) => [name, core.faults.guard(name, handler)] as const);
  for (const [name, handler] of known) process.on(name, handler);
  if (process.platform !== 'win32' && !process.listeners('SIGUSR1').includes(ignore)) process.on('SIGUSR1', ignore);
  return () => { for (const [name, handler] of known) process.removeListener(name, handler); };
}
