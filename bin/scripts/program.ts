import { Program } from '../program.js';
import { ScriptsStartCommand } from './start.js';
import { ScriptsStopCommand } from './stop.js';

/** The second bin, `hatchery-scripts`: the command lines of egg-scripts, and beside them all that `framework` has. */
export class ScriptsProgram extends Program {
  constructor(rawArgv?: string[]) {
    super(rawArgv);
    this.add('start', ScriptsStartCommand);
    this.add('stop', ScriptsStopCommand);
  }

  override get description(): string { return 'takes the command lines of egg-scripts'; }
}
