import { loadConfig, type LoadRequest } from './config/load.js';
import type { ProfileInput } from './config/schema.js';
import { atCaller, isObject, misuse } from './kit/misuse.js';
import { Bootstrap, type BootstrapOptions } from './master/bootstrap.js';
import { bootstrapOptions } from './master/checked-calls.js';

/** The public API, and nothing else. */
export { Bootstrap, type BootstrapOptions } from './master/bootstrap.js';
export { standbys, workerRange } from './config/check.js';
export { defineConfig, type Config, type ConfigInput, type PluginOptions } from './config/schema.js';
export type { WorkerRange } from './config/check.js';
export { loadConfig, type LoadedConfig, type LoadRequest } from './config/load.js';
export { definePlugin, type Plugin, type PluginCommand, type StandardSchema } from './api/plugin.js';
export { ClusterError, ERRORS, type ErrorCode } from './kit/errors.js';
export { autoWorkers } from './config/resolve-config.js';
export { cpuQuota, memoryLimit, processors, type MemoryLimit } from './kit/cgroup.js';
export { descriptorLimit } from './kit/processes.js';
export { listen, listenErrorInWords } from './kit/sockets.js';
export { visible } from './kit/misuse.js';
export type { FillDecision, LimitDecision, ReforkDecision, UnresponsiveDecision } from './api/hooks.js';
export type { Hooks, HookName, ForkSpec, TapRecord } from './api/hooks.js';
export type { ConnectionRouting, Deadlines, HeldSocket, Master, ServiceState, Shared, TakeUnserved } from './api/plugin.js';
export type { ChildState, ChildView, ExitCause, ExitInfo, LastExit, ListeningAddress, SlotLoad, SlotView } from './api/child.js';
export type { Status, AdaptiveStatus, ChildStatus, OverloadStatus, StandbyStatus, ReloadResult } from './api/control.js';
export type { Progress, Route, RouteAnswer, RouteRequest } from './api/control.js';
export type { Address, BootInfo, ChildRole, CloseReason, CutRequests, Envelope, InternalMessages } from './ipc/messages.js';
export type { PartSpec, RequestInFlight, Role, Waiting } from './ipc/messages.js';
export { detach, isMovable, type HttpConnection } from './node/http-connections.js';
export { INSPECTOR_HOST, startInspector } from './node/process.js';
export { answerLast, peerAddress, readFirst, type RawHandle } from './node/raw-sockets.js';
export type { Channel } from './ipc/channel.js';
export { defineShared } from './api/messenger.js';
export type { Answers, Asking, BroadcastOptions, CarryBroadcasts, MessageOptions, Messages, Messenger } from './api/messenger.js';
export type { RequestOptions, Target } from './api/messenger.js';
export type { SharedCall, SharedCallOptions, SharedClient, ShareClient, SharedDefinition, SharedOptions } from './api/messenger.js';
export type { SharedTopicKind } from './api/messenger.js';
export type { Logger, LogLevel } from './kit/logger.js';
export type { Runtime, RuntimeHooks, ClosingContext, ListenOptions, HealthCheck } from './api/runtime.js';
export type { Context, Lead, Lease } from './api/runtime.js';
export type { StepDone, StepOptions } from './ipc/ready.js';
export { Application, Agent } from './child/application.js';

/** Keys of the configuration, and what to run. */
export type StartOptions = ProfileInput & {
  /** App directory or entry file; the working directory by default. */
  target?: string;
  /** `dev` has the defaults of `framework dev`. */
  command?: LoadRequest['command'];
};

/**
 * Starts a cluster in this process, which becomes its master; resolves when all are ready. Options rank as flags of the
 * command line do. On a failure nothing is left running.
 * @throws ClusterError ERR_CLUSTER_USAGE, _CONFIG, _APP_NOT_FOUND; what plugins refuse: _PLUGIN, _ENGINE, _NOT_CLONEABLE,
 * _BALANCE, _HOOK, _HOOK_TIMEOUT; what becomes of the children: _START, _START_TIMEOUT, _CLOSING
 */
export async function startCluster(config: StartOptions = {}, options: BootstrapOptions = {}): Promise<Bootstrap> {
  if (!isObject(config)) throw misuse(startCluster, 'an object of options', config);
  const { target, command, ...inline } = config;
  const read = () => loadConfig({ target, command, inline });
  try {
    bootstrapOptions(startCluster.name, options);
    return await new Bootstrap(await read(), { reloadConfig: read, ...options }).start();
  } catch (error) {
    throw atCaller(error, startCluster);
  }
}
