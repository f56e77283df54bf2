/**
 * Types only: whoever loads this file has the options of every built-in plugin typed in `defineConfig`, as each of them
 * declares its own. The published declarations of the package load it.
 */
export type { AdaptiveWorkersOptions } from './adaptive-workers/options.js';
export type { ContainerOptions } from './container/options.js';
export type { DevReloadOptions } from './dev-reload/options.js';
export type { EggOptions } from './egg/options.js';
export type { GracefulExitOptions } from './graceful-exit/options.js';
export type { HealthCheckOptions } from './health-check/options.js';
export type { HostsOptions } from './hosts/options.js';
export type { MetricsOptions } from './metrics/options.js';
export type { OverloadOptions } from './overload/options.js';
export type { Pm2Options } from './pm2/options.js';
export type { SharedClientsOptions } from './shared-clients/options.js';
export type { StandbyOptions } from './standby/options.js';
export type { StickyOptions } from './sticky-session/options.js';
export type { SystemdOptions } from './systemd/options.js';
