/** The command line for a framework that ships its own bin: `hatchery/cli`. */
export { connect, type ControlClient } from './client.js';
export { Command, usageError } from './command.js';
export type { Argv, Context } from './common-bin.js';
export type { Flag, Flags } from './flags.js';
export { Program } from './program.js';
export { ConfigCommand } from './commands/config.js';
export { DockerCommand, KubernetesCommand } from './commands/containers.js';
export { DevCommand } from './commands/dev.js';
export { DoctorCommand } from './commands/doctor.js';
export { HooksCommand } from './commands/hooks.js';
export { ImportCommand } from './commands/import.js';
export { LogsCommand } from './commands/logs.js';
export { McpCommand } from './commands/mcp.js';
export { PluginCommand } from './commands/plugin.js';
export { ProxyConfigCommand } from './commands/proxy-config.js';
export { ReloadCommand } from './commands/reload.js';
export { RestartCommand } from './commands/restart.js';
export { ScaleCommand } from './commands/scale.js';
export { StartCommand } from './commands/start.js';
export { StatusCommand } from './commands/status.js';
export { StopCommand } from './commands/stop.js';
export { SystemdCommand } from './commands/systemd.js';

/** The program of the second bin, `hatchery-scripts`, loaded when it is asked for. */
export const scriptsProgram = async () => (await import('./scripts/program.js')).ScriptsProgram;
