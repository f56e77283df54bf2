/** A terminal's Ctrl-C reaches the master twice where npm or a shell passes it on as well: within this time (ms) it is one. */
const ONE_PRESS = 500;

export interface SignalActions {
  /** A close is under way already, asked for by `stop` perhaps: then the first signal hurries. */
  closing(): boolean;
  /** The first TERM, INT or QUIT. */
  close(signal: NodeJS.Signals): void;
  /** A further one. */
  hurry(signal: NodeJS.Signals): void;
  reload(): void;
  scale(by: 1 | -1): void;
}

/** Signals become calls, nothing more happens in a handler. Returns what takes the handlers off again. */
export function onSignals(actions: SignalActions): () => void {
  let closedAt = -Infinity;
  const ending = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (!actions.closing()) {
      closedAt = now;
      actions.close(signal);
    } else if (now - closedAt > ONE_PRESS) {
      actions.hurry(signal);
    }
  };
  const handlers: [NodeJS.Signals, (signal: NodeJS.Signals) => void][] = [
    ['SIGTERM', ending],
    ['SIGINT', ending],
    ['SIGQUIT', ending],
    ['SIGHUP', () => actions.reload()],
    ['SIGTTIN', () => actions.scale(1)],
    ['SIGTTOU', () => actions.scale(-1)],
  ];
  // Windows knows neither the job-control signals nor SIGQUIT.
  const known = handlers.filter(([name]) => process.platform !== 'win32' || ['SIGTERM', 'SIGINT', 'SIGHUP'].includes(name));
  for (const [name, handler] of known) process.on(name, handler);
  return () => { for (const [name, handler] of known) process.removeListener(name, handler); };
}
