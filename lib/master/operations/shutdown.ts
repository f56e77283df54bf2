import type { Crew } from '../processes/crew.js';
import type { AgentGroup } from '../processes/agent-group.js';
import type { WorkerGroup } from '../processes/worker-group.js';

export interface Shutdown {
  crew: Crew;
  agent: AgentGroup;
  workers: WorkerGroup;
  reason: string;
  /** Resolves when somebody is in a hurry. */
  hurry: Promise<void>;
  step(text: string): void;
}

/**
 * Readiness is off already. Then: `shutdownDelay`, so that a load balancer sees it; no new connections; workers drain, all
 * at once; the agent closes last, as workers may still need it. In a hurry everything is killed. Nothing here waits longer
 * than the deadlines together; each child has its own SIGKILL timer.
 */
export async function shutdown({ crew, agent, workers, reason, hurry, step }: Shutdown): Promise<void> {
  const { deadlines, hooks, listeners, logger } = crew;
  let hurried = false;
  void hurry.then(() => {
    hurried = true;
    for (const child of [...workers.children(), ...agent.current ? [agent.current] : []]) void child.kill('stop');
  });
  workers.cancelReforks();
  try {
    await hooks.beforeClose.promise(reason);
  } catch (error) {
    logger.error(error as Error);
  }
  if (deadlines.shutdownDelay > 0 && !hurried) {
    step(`waiting ${deadlines.shutdownDelay}ms (shutdownDelay)`);
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([new Promise((resolve) => { timer = setTimeout(resolve, deadlines.shutdownDelay); }), hurry]);
    clearTimeout(timer);
  }
  await listeners.stop(1_000);
  const children = workers.children();
  if (children.length > 0) step(`closing ${children.length} worker${children.length === 1 ? '' : 's'}, within ${deadlines.drain}ms`);
  await Promise.all(children.map(async (child) => {
    await (hurried ? child.kill('stop') : workers.drain(child, 'stop'));
    step(`worker#${child.slot} (pid ${child.pid}) is gone`);
  }));
  // A fork that was under way when the close came.
  await Promise.all(workers.children().map((child) => child.kill('stop')));
  if (agent.alive) {
    step(`closing the agent, within ${deadlines.agent}ms`);
    await (hurried ? agent.current?.kill('stop') : agent.close('stop', deadlines.agent));
  } else {
    await agent.close('stop', 0);
  }
}
