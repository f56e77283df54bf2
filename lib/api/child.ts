/** The life of one process, as data. A pair that is not in the table is ignored; that absorbs Node's event races. */
export type ChildState = 'forked' | 'booting' | 'ready' | 'draining' | 'killing' | 'exited';
export type ChildEvent = 'hello' | 'ready' | 'close' | 'kill' | 'exit';

export const childTable: Readonly<Record<ChildState, Partial<Record<ChildEvent, ChildState>>>> = {
  forked: { hello: 'booting', close: 'draining', kill: 'killing', exit: 'exited' },
  booting: { ready: 'ready', close: 'draining', kill: 'killing', exit: 'exited' },
  ready: { close: 'draining', kill: 'killing', exit: 'exited' },
  draining: { kill: 'killing', exit: 'exited' },
  killing: { exit: 'exited' },
  exited: {},
};
