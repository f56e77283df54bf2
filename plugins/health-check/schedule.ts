import type { StandardSchema } from '../../lib/index.js';

/** Calls `then` at the times of a cron expression; returns what ends it. Throws where it is none. */
export async function schedule(expression: string, then: () => void): Promise<() => void> {
  const { Cron } = await import('croner');
  const cron = new Cron(expression, { unref: true }, then);
  return () => cron.stop();
}

/** A schema that knows what a cron expression is, too; the library is loaded where there is one. */
export function withCron<Options extends { cron?: string | undefined }>(schema: StandardSchema<Options>): StandardSchema<Options> {
  const standard = schema['~standard'];
  return { ...schema, '~standard': { ...standard, validate: async (given) => {
    const result = await standard.validate(given);
    if (result.issues || result.value.cron === undefined) return result;
    try {
      (await schedule(result.value.cron, () => {}))();
      return result;
    } catch (error) {
      const { message } = error as Error;
      const found = JSON.stringify(result.value.cron);
      return { issues: [{ path: ['cron'], message: `expected a cron expression such as "0 4 * * *", found ${found}: ${message}` }] };
    }
  } } };
}
