/**
 * `hatchery/testing`: for the tests of apps and plugins, under any test runner. Loading it loads neither the master nor the command
 * line.
 */
export { startTestCluster, type TestCluster, type TestClusterOptions } from './cluster.js';
export { createRuntime, fakeChild, type FakeChild, type LoggedLine, type RuntimeSetup, type TestRuntime } from './runtime.js';
export { eventually } from './waiting.js';
