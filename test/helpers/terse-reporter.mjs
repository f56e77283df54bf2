import { appendFileSync } from 'node:fs';

// What failed, whole, and one line a file: CI keeps only so much of what is printed.
export default async function* terse(source) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of source) {
    if (type === 'test:fail' && data.details?.error?.failureType !== 'subtestsFailed') {
      counts.failed++;
      if (data.file && process.env.HATCHERY_TEST_FAILURES) appendFileSync(process.env.HATCHERY_TEST_FAILURES, `${data.file}\n`);
      yield `FAIL ${data.file ?? ''}: ${data.name}\n${data.details.error.cause?.stack ?? data.details.error.cause ?? data.details.error.message}\n`;
    } else if (type === 'test:pass' && data.nesting === 0) {
      if (data.skip !== undefined) {
        counts.skipped++;
        yield `skipped: ${data.name} (${data.skip})\n`;
      } else {
        counts.passed++;
      }
    }
  }
  yield `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`;
}
