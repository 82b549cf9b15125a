/** What those who start the ranks tell each of them, in its environment. */
import { environmentVariable } from '../backend/environment.ts'
import { invalidType, invalidValue, quoted } from '../checks/errors.ts'

/** PyTorch's names, which Kubeflow's PyTorchJob and torchrun set; then those of mpirun, of OpenMPI and of MPICH. */
const names = {
  rank: ['RANK', 'OMPI_COMM_WORLD_RANK', 'PMI_RANK'],
  size: ['WORLD_SIZE', 'OMPI_COMM_WORLD_SIZE', 'PMI_SIZE'],
} as const

/** Which rank this process is, and of how many. What an option leaves out is read from the environment. */
export function placeOf(options: { rank?: number; size?: number }): { rank: number; size: number } {
  const size = options.size ?? numberFrom('size')
  const rank = options.rank ?? numberFrom('rank')
  if (!(Number.isSafeInteger(size) && size >= 1 && size <= mostRanks)) {
    throw invalidOption('size', `an integer from 1 to ${mostRanks}`, size, options)
  }
  if (!(Number.isSafeInteger(rank) && rank >= 0 && rank < size)) {
    throw invalidOption('rank', `an integer from 0 to ${size - 1}, as size is ${size},`, rank, options)
  }
  return { rank, size }
}

/** The header of an operation can tell so many apart. */
const mostRanks = 2 ** 18

/** How many ranks mpirun has started, this one among them; undefined where it has not started this. */
export function sizeUnderMpirun(): number | undefined {
  const text = names.size.slice(1).map(environmentVariable).find(Boolean)
  return text === undefined ? undefined : Number(text)
}

/** `tcp://host:port`, as MASTER_ADDR and MASTER_PORT give it. */
export function masterFromEnvironment(): string {
  const host = environmentVariable('MASTER_ADDR')
  const port = environmentVariable('MASTER_PORT')
  if (host && port) return `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`
  const missing = host ? 'MASTER_PORT' : 'MASTER_ADDR'
  const fix = `or set MASTER_ADDR and MASTER_PORT; ${missing} is not set`
  throw invalidType(
    'rendezvous',
    "a URL, such as 'file:/dir', 'tcp://host:port' or 'redis://host:port',",
    undefined,
    fix,
  )
}

function numberFrom(option: 'rank' | 'size'): number {
  const name = variableOf(option)
  if (name === undefined) {
    throw invalidType(option, 'an integer', undefined, `or set ${names[option][0]} in the environment`)
  }
  const text = environmentVariable(name) as string
  if (!/^\d+$/.test(text)) {
    throw new RangeError(
      `Expected the environment variable ${name} to be an integer but received ${quoted(text)}`,
    )
  }
  return Number(text)
}

function variableOf(option: 'rank' | 'size'): string | undefined {
  return names[option].find((name) => environmentVariable(name))
}

function invalidOption(
  option: 'rank' | 'size',
  expected: string,
  value: number,
  options: { rank?: number; size?: number },
): Error {
  const origin = options[option] === undefined ? `it is ${variableOf(option)} of the environment` : ''
  return (typeof value === 'number' ? invalidValue : invalidType)(option, expected, value, origin)
}
