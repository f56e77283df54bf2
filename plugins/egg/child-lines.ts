import { createRequire } from 'node:module';
import type { ClosingContext, Runtime } from '../../lib/runtime.js';

type Label = 'app_worker' | 'agent_worker';

/** What egg-cluster says of the loss of the master. */
const GONE: Readonly<Record<Label, string>> = {
  app_worker: 'receive disconnect event in cluster fork mode, exitedAfterDisconnect:false',
  agent_worker: 'receive disconnect event on child_process fork mode, exiting with code:110',
};

/** The lines that a process of egg-cluster writes of its start and end, for those whose alarms look for them. */
export function tellAsEggCluster(runtime: Runtime, label: Label): void {
  const logger = runtime.logger.child(label);
  const error = (text: string) => logger.error(text);
  // Registered first, it runs last.
  runtime.onClose(() => { logger.info('beforeExit success'); }, 'egg: beforeExit');
  runtime.hooks.beforeClose.tap('egg', ({ reason }: ClosingContext) => {
    if (reason === 'masterGone') error(GONE[label]);
    else logger.info('receive signal SIGTERM, exiting with code:0');
  });
  process.once('exit', (code) => { logger[code === 0 ? 'info' : 'error'](`exit with code:${code}`); });
  runtime.hooks.startFailed.tap('egg', (failure) => {
    const { code, syscall, address = null, port } = failure as NodeJS.ErrnoException & { address?: string; port?: number };
    if (code === 'ERR_CLUSTER_START_TIMEOUT') return error('start timeout, exiting with code:1');
    if (syscall === 'listen' || syscall === 'bind') error(`server got error: bind ${code} ${address}:${port}, code: ${code}`);
    inEggsWords(runtime, failure);
    error('start error, exiting with code:1');
  });
}

/** As the framework's own logger prints errors, with the address of its help. */
function inEggsWords({ boot: { entry } }: Runtime, reason: unknown): void {
  try {
    const { EggConsoleLogger } = createRequire((entry as { file: string }).file)('egg-logger') as
      { EggConsoleLogger: new () => { error(reason: unknown): void } };
    new EggConsoleLogger().error(reason);
  } catch {
    // It has another one, and the error is in the log anyway.
  }
}
