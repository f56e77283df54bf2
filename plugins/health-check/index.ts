import { definePlugin } from '../../lib/plugin.js';

export default definePlugin({ name: 'health-check', apply() {} });
