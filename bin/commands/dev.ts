import { configFlags, jsonFlag, type Flags } from '../flags.js';
import { StartCommand } from './start.js';

export class DevCommand extends StartCommand {
  override get description(): string { return 'run an app for development: one worker, reloaded at each change'; }

  override get flags(): Flags {
    return {
      ...configFlags,
      ...jsonFlag,
      reload: {
        kind: 'switch', negative: true, description: 'leave the app alone when files change', standard: 'off',
        key: ['plugins', 'dev-reload'],
      },
    };
  }

  protected override get mode(): 'start' | 'dev' { return 'dev'; }
}
