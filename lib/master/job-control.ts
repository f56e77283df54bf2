import { inForeground } from '../kit/terminal.js';

/** What a terminal sends to those in its background that read from it, or, with `stty tostop`, write to it. */
const JOB_SIGNALS = ['SIGTTIN', 'SIGTTOU'] as const;

let told: (signal: NodeJS.Signals) => void = () => {};
let wanted = false;
let heard = false;

const hear = (signal: NodeJS.Signals): void => told(signal);

/**
 * With a controlling terminal these two are its own and mean nothing to us. In the foreground, where it never sends them, one
 * that comes all the same is ignored; `listener` hears of it. In the background they do what they do to any job: stop it,
 * until `fg`. A handler there would turn a write or a read round for ever inside the kernel, deaf to everything.
 */
export function mindTerminal(listener: (signal: NodeJS.Signals) => void = told): void {
  [wanted, told] = [true, listener];
  minded();
}

/** Before the terminal is written to: Ctrl-Z and `bg` may have changed places since. */
export function minded(): void {
  const hears = wanted && inForeground() === true;
  if (hears === heard) return;
  heard = hears;
  for (const name of JOB_SIGNALS) {
    if (hears) process.on(name, hear);
    else process.off(name, hear);
  }
}
