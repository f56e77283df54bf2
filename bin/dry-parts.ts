import type { ChildRole, PartSpec } from '../lib/ipc/messages.js';
import { runParts } from '../lib/child/parts.js';
import { messageOf } from '../lib/kit/errors.js';
import { inTime } from '../lib/kit/time.js';
import { createRuntime } from './testing/runtime.js';

/**
 * Runs the parts of plugins without an app and tells which hooks they tap, for `framework hooks`: in a process of its own, as they
 * may do what they like. Its own file in dist (build.mjs).
 */

/** What the process is asked. */
export interface DryRequest { role: ChildRole; config: Record<string, unknown>; parts: readonly PartSpec[] }
/** What it answers: plugins by hook, in the order in which their taps run, and those whose part has failed. */
export interface DryAnswer { taps: Record<string, string[]>; failed: Record<string, string> }

/** Milliseconds for one part. */
const PATIENCE = 5_000;

export async function dryRun({ role, config, parts }: DryRequest): Promise<DryAnswer> {
  const { runtime } = createRuntime({ role, config, boot: { dry: true } });
  const hooks = Object.entries(runtime.hooks as unknown as Record<string, { taps: readonly unknown[] }>);
  const taps: DryAnswer['taps'] = Object.fromEntries(hooks.map(([name]) => [name, []]));
  const failed: DryAnswer['failed'] = {};
  for (const part of parts) {
    const before = new Map(hooks.map(([name, hook]) => [name, hook.taps.length]));
    try {
      const late = () => new Error(`it did not finish within ${PATIENCE} ms`);
      await inTime(PATIENCE, () => runParts(runtime as never, [part]), late);
    } catch (error) {
      failed[part.plugin] = messageOf(error).split('\n')[0] as string;
    }
    for (const [name, hook] of hooks) if (hook.taps.length > before.get(name)!) taps[name]?.push(part.plugin);
  }
  return { taps, failed };
}

process.once('message', (request: DryRequest) => {
  void dryRun(request).then((answer) => process.send?.(answer, () => process.exit(0)));
});
