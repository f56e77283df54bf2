import type { Runtime } from '../../lib/runtime.js';
import { tellLoaded } from './loaded.js';
import { tellWritten } from './written.js';

/** In the agent: the master shows why it does not start, and hears what it is made of. */
export default function devReload(runtime: Runtime<'agent'>): void {
  runtime.printsFailure = false;
  tellLoaded(runtime);
  tellWritten((file) => { runtime.channel.send('dev.wrote', file); });
}
