import { devDependencies, peerDependencies } from '../../package.json'
import { Failure } from '../failure.ts'
import { resolveOptional } from '../resolve-optional.ts'
import type { ExplainArguments } from './options.ts'

const packages = [...(Object.keys(peerDependencies) as (keyof typeof peerDependencies)[]), 'mnist' as const]

/**
 * `batchnorm explain`: the experiment in this folder. It trains networks on digits with
 * packages that nothing else here needs: TensorFlow.js, an optional peer of this package, and digits.
 */
export async function explain(options: ExplainArguments): Promise<void> {
  const missing = packages.filter((name) => !isInstalled(name))
  if (missing.length > 0) {
    const tried = missing.map((name) => `${name}@${devDependencies[name].replace('^', '')}`)
    throw new Failure(
      `Expected the packages of the experiment but ${missing.join(', ')} cannot be found (npm i ${tried.join(' ')})`,
    )
  }
  const { runExperiment } = await import('./command.ts')
  await runExperiment(options, 'npx batchnorm explain')
}

function isInstalled(name: string): boolean {
  try {
    resolveOptional(name)
    return true
  } catch {
    return false
  }
}
