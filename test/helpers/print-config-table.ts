import { configTable } from '../../lib/config/table.js';

/** For the README: test/unit/config-schema.test.ts compares. */
console.log(configTable());
