// What failed, whole, and nothing else: CI keeps only so much of what is printed. test/run.ts prints the rest.
export default async function* terse(source) {
  for await (const { type, data } of source) {
    if (type === 'test:fail' && data.details?.error?.failureType !== 'subtestsFailed') {
      const { error } = data.details;
      yield `FAIL ${data.file ?? ''}: ${data.name}\n${error.cause?.stack ?? error.cause ?? error.message}\n`;
    }
  }
}
