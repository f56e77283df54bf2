import { definePlugin } from '../../lib/plugin.js';

export default definePlugin({ name: 'metrics', apply() {} });
