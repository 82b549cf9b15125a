import { configDefaults, defineConfig } from 'vitest/config'

/** What trains, starts processes, or looks for errors in millions of values: all but the first minute's worth. */
const slow = ['accuracy*', 'async-exit', 'bundles', 'cli', 'explain', 'images', 'load', 'train', 'workers']

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [
      ...configDefaults.exclude,
      ...(process.env.BATCHNORM_QUICK_TESTS ? slow.map((name) => `test/${name}.test.ts`) : []),
    ],
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['./test/support/reporter.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
