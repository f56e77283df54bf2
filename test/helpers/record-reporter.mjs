/** For test/run.ts: how each test ended, a JSON object a line (TestRecord of outcome.ts). */
export default async function* record(source) {
  for await (const { type, data } of source) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.details?.type === 'suite') continue;
    if (type === 'test:fail' && data.details?.error?.failureType === 'subtestsFailed') continue;
    const { name, file = '', skip, todo } = data;
    const result = skip !== undefined ? 'skipped' : todo !== undefined ? 'todo' : type === 'test:pass' ? 'pass' : 'fail';
    yield `${JSON.stringify({ file, name, result, ...(skip === undefined ? {} : { reason: skip }) })}\n`;
  }
}
