import { defineConfig } from 'vitest/config'
import LongFirst from './test/support/long-first.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['./test/support/compiled.ts', './test/support/scratch.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Most wait for other processes and for the disk.
    maxWorkers: 3,
    pool: 'forks',
    sequence: { sequencer: LongFirst },
    reporters: ['default', './test/support/summary.ts'],
  },
})
