import { readmeTables } from './readme-tables.js';

/** For the README: test/unit/readme.test.ts compares. */
for (const [name, table] of Object.entries(await readmeTables())) console.log(`<!-- ${name} -->\n${table}\n`);
