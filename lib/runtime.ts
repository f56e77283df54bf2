/**
 * `hatchery/runtime`: for code that runs in the children, a plugin's parts above all. It loads nothing of the master, and
 * keeps no state: what has some is reached through the {@link Runtime} that a part is given.
 */
export type { Context, Lead, Lease } from './api/runtime.js';
export { copyOf, defineShared, packed, shareClient, unpacked } from './api/messenger.js';
export type { Answers, Asking, BroadcastOptions, CarryBroadcasts, Messages, Messenger, ShareClient } from './api/messenger.js';
export type { SharedCall, SharedCallOptions, SharedClient } from './api/messenger.js';
export type { SharedDefinition, SharedOptions, SharedTopicKind } from './api/messenger.js';
export type {
  ChildHook, ClosingContext, FrameworkApplication, FrameworkPart, FrameworkServing, HealthCheck, ListenOptions, RequestHook, RequestTap,
  Runtime, RuntimeHooks, ServedRequest, ServedResponse,
} from './api/runtime.js';
export { BailChildHook, gateRequests } from './child/request-hooks.js';
export type { Channel } from './ipc/channel.js';
export type { Address, BootInfo, ChildRole, CloseReason, CutRequests, Envelope, InternalMessages } from './ipc/messages.js';
export type { RequestInFlight, Waiting } from './ipc/messages.js';
export { ready, startWaits, stepOf, type StepDone, type StepOptions } from './ipc/ready.js';
export { ClusterError, describeError, fromWire, isErrorData, messageOf, wire, wireWhole, type ErrorData } from './kit/errors.js';
export type { Logger } from './kit/logger.js';
export { atCaller, isObject, nearest, show } from './kit/misuse.js';
export { ownRss } from './kit/processes.js';
export { listen } from './kit/sockets.js';
export { atMost, TimeLimits, inTime } from './kit/time.js';
export { requiredFiles } from './node/modules.js';
export { openServers, openSockets } from './node/process.js';
export { sayFarewell } from './node/cluster-ends.js';
export { gateSignals, seeEmitters } from './node/events.js';
export {
  askForNoMore, cutAnswer, headOf, httpConnections, isLastOnConnection, isUpgraded, streamBytes, type HttpConnection,
} from './node/http-connections.js';
export { AnswerParser, parsesAnswers, type AnswerSink } from './node/answer-parser.js';
export { accepts, belowTls, connectionsOf, handleOf, reset, transferred, type RawHandle } from './node/raw-sockets.js';
