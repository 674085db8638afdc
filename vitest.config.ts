import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Most wait for other processes and for the disk.
    maxWorkers: 3,
    pool: 'forks',
    reporters: ['default', './test/support/summary.ts'],
  },
})
