/** For tests of what stands on a reactor: a network in memory that repeats itself, and checks of what was built. */

export { type BackendFactory, backendConformance, type TestRunner } from './backend-conformance.js';
export { SIMULATION_ERRORS, SimulationError, type SimulationErrorCode } from './errors.js';
export { ExplorationError, type ExploreOptions, explore, type Program } from './explore.js';
export type { NetworkFaults } from './faults.js';
export { expectNoLeaks, type LeakOptions } from './leaks.js';
export { type RunOptions, SimulatedNetwork, type SimulatedNetworkOptions } from './network.js';
export { type PluginContractOptions, pluginContract } from './plugin-contract.js';
export { type RecordedConnection, type RecordedReceive, recordedConnection } from './recording.js';
export { type ReplayedConnection, type ReplayOptions, replayConnection } from './replay-connection.js';
export { splitEverywhere } from './split-everywhere.js';
export { PluginTest, PluginTestConnection, type PluginTestOptions, testPlugin } from './test-plugin.js';
