import type { RunnerTask } from 'vitest'
import { DefaultReporter } from 'vitest/node'

/** Vitest's own output, with the titles of the `describe` blocks before a test's: "native sse2" alone says little. */
export default class TitledReporter extends DefaultReporter {
  protected override getTestName(test: RunnerTask): string {
    const titles = [test.name]
    for (let { suite } = test; suite; suite = suite.suite) titles.unshift(suite.name)
    return titles.join(' > ')
  }
}
