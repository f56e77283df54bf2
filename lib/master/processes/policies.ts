import type { ChildRole } from '../../ipc/messages.js';

/** What tells the place of the agent from that of a worker. */
export interface SlotPolicy {
  role: ChildRole;
  /** A successor comes up beside its predecessor, and a process that leaves is replaced while it drains; else one after the other. */
  overlaps: boolean;
  /** Which of the deadlines it has to close. */
  deadline: 'drain' | 'agent';
  /** Shortest wait before a dead process is forked again, ms. */
  floor: number;
  /** Deaths count against `refork.limit`, and taps are asked what to do about them. */
  counted: boolean;
}

export const policies: Readonly<Record<ChildRole, SlotPolicy>> = {
  agent: { role: 'agent', overlaps: false, floor: 1_000, counted: false, deadline: 'agent' },
  worker: { role: 'worker', overlaps: true, floor: 0, counted: true, deadline: 'drain' },
};
