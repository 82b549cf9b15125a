import { type FoundAddon, hasMusl, loadAddon } from '../../lib/backend/addon.ts'
import { activeBackend, supportedInstructionSets, useBackend } from '../../lib/backend/load.ts'
import { version } from '../../package.json'
import { orFail } from '../failure.ts'
import { missingTools, needs } from './toolchain.ts'

/** `batchnorm doctor`: which backend runs here and how, and if it is not the native one, why and what to do. */
export function doctor(): string {
  const found = findAddon()
  // Asked for, so that it does not warn of what is said below.
  if (found instanceof Error && !process.env.BATCHNORM_BACKEND) useBackend('typescript')
  const { name, instructionSet, threads } = orFail(activeBackend)
  const rows = [
    ['batchnorm', version],
    ['Node', `${process.version}, ${system()}`],
    ...environment(),
    ['backend', name],
    ['instruction set', instructionSet ?? 'none, as the TypeScript backend has none'],
    ['threads', String(threads)],
    ...(found instanceof Error ? remedy(found) : native(found)),
  ]
  const width = Math.max(...rows.map(([title]) => title.length))
  return rows.map(([title, text]) => `${title.padEnd(width)}  ${text}`).join('\n')
}

function findAddon(): FoundAddon | Error {
  try {
    return loadAddon()
  } catch (error) {
    return error as Error
  }
}

function native({ file }: FoundAddon): string[][] {
  return [
    ['addon', file],
    ['it supports', supportedInstructionSets().join(', ')],
  ]
}

function remedy({ message }: Error): string[][] {
  const missing = missingTools()
  const lacking = missing.length > 0 ? `; here is no ${missing.join(', no ')}` : ''
  return [
    ['why not native', message],
    ['what to do', `npx batchnorm build, which needs ${needs}${lacking}`],
    ['meanwhile', 'the TypeScript backend gives the same bits, more slowly'],
  ]
}

function system(): string {
  const libc = process.platform === 'linux' ? [hasMusl() ? 'musl' : 'glibc'] : []
  return [`${process.platform}-${process.arch}`, ...libc].join(', ')
}

/** What is set, because it changes the rest. */
function environment(): string[][] {
  return Object.entries(process.env)
    .filter(([name, value]) => name.startsWith('BATCHNORM_') && value)
    .map(([name, value]) => [name, value as string])
}
