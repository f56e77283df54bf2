import { writeFileSync } from 'node:fs';
import { docsTables, PAGES, withTables } from './docs-tables.js';

/** Writes the generated tables into the documents: `npx tsx test/helpers/write-docs-tables.ts`. test/unit/docs.test.ts compares. */
const tables = await docsTables();
for (const page of Object.keys(PAGES)) writeFileSync(page, withTables(page, tables));
