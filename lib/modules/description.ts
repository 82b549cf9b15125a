import { pythonNumber } from '../tensor/format.ts'
import { optionTable, type Settings } from './options.ts'

/** What a module is by now; its other options are the settings that it was made with. */
interface Described {
  readonly numFeatures: number
  readonly eps: number
  readonly momentum: number | null
  readonly frozen: boolean
  readonly useBatchStats: boolean | null
  readonly updateStats: boolean | null
  readonly trainAffine: boolean
}

/** What PyTorch prints of every module. A frozen one says that, and not what its switches are. */
const always = ['eps', 'momentum', 'scale', 'center', 'trackRunningStats']
const switches = ['useBatchStats', 'updateStats', 'trainAffine']

/**
 * A module as PyTorch prints it, and after that the options that PyTorch does not have and that are not
 * the default: `BatchNorm1d(100, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)`.
 */
export function describeModule(module: Described, settings: Settings): string {
  const { numFeatures, eps, momentum, frozen, useBatchStats, updateStats, trainAffine } = module
  const { scale, center, trackRunningStats } = settings
  const now = { ...settings, useBatchStats, updateStats, trainAffine }
  const others = Object.entries(optionTable)
    .filter(([name]) => !(always.includes(name) || (frozen && switches.includes(name))))
    .map(([name, { value, read, print = python }]) => {
      const setting = now[name as keyof Settings]
      const isDefault = setting === (read as (value: unknown) => unknown)(value)
      return isDefault ? null : `${snakeCase(name)}=${(print as (setting: unknown) => string)(setting)}`
    })
  const parts = [
    numFeatures,
    `eps=${python(eps)}`,
    `momentum=${python(momentum)}`,
    scale === center ? `affine=${python(scale)}` : `scale=${python(scale)}, center=${python(center)}`,
    `track_running_stats=${python(trackRunningStats)}`,
    ...others.filter((text) => text !== null),
    ...(frozen ? ['frozen=True'] : []),
  ]
  return `${module.constructor.name}(${parts.join(', ')})`
}

/** A value as Python writes it. */
function python(value: unknown): string {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return typeof value === 'number' ? pythonNumber(value) : String(value)
}

/** `singleValue` as `single_value`. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
