import { configTable } from '../../lib/config/schema-renderings.js';

/** For the README: test/unit/config-schema.test.ts compares. */
console.log(configTable());
