/** `hatchery/runtime`: for code that runs in the children, a plugin's parts above all. It loads nothing of the master. */
export type { Context } from './api/context.js';
export type { ChildHook, ClosingContext, HealthCheck, ListenOptions, Runtime, RuntimeHooks } from './api/runtime.js';
