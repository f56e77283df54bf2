import { savesUnderLoad } from '../helpers/dev-saves.js';

const cleanUp: (() => unknown)[] = [];
try {
  console.log(`dev: ${await savesUnderLoad({ after: (fn) => { cleanUp.push(fn); } }, 200, 300)}`);
} finally {
  for (const fn of cleanUp.reverse()) await fn();
}
