import { pythonNumber } from '../format.ts'
import type { AnyBatchNorm } from './batch-norm.ts'
import type { Settings } from './options.ts'

/**
 * A module as PyTorch prints it, and after that the options that PyTorch does not have and that are not
 * the default: `BatchNorm1d(100, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)`.
 */
export function describeModule(module: AnyBatchNorm, settings: Settings): string {
  const { eps, momentum, frozen, useBatchStats, updateStats, trainAffine } = module
  const {
    dtype,
    activation,
    scale,
    center,
    layout,
    singleValue,
    nonFinite,
    positiveScale,
    virtualBatchSize,
    renorm,
    reuse,
  } = settings
  const others: [name: string, text: string, differs: boolean][] = [
    ['dtype', dtype, dtype !== 'float32'],
    ['activation', activationText(activation), activation !== null],
    ['layout', layout, layout !== 'channels-first'],
    ['single_value', singleValue, singleValue !== 'throw'],
    ['non_finite', nonFinite, nonFinite !== 'propagate'],
    ['positive_scale', python(positiveScale), positiveScale],
    ['virtual_batch_size', String(virtualBatchSize), virtualBatchSize !== null],
    ['renorm', String(renorm), renorm !== null],
    ['reuse', python(reuse), reuse],
    ['frozen', python(frozen), frozen],
    ['use_batch_stats', python(useBatchStats), !frozen && useBatchStats !== null],
    ['update_stats', python(updateStats), !frozen && updateStats !== null],
    ['train_affine', python(trainAffine), !frozen && !trainAffine],
  ]
  const parts = [
    module.numFeatures,
    `eps=${pythonNumber(eps)}`,
    `momentum=${momentum === null ? 'None' : pythonNumber(momentum)}`,
    scale === center ? `affine=${python(scale)}` : `scale=${python(scale)}, center=${python(center)}`,
    `track_running_stats=${python(module.trackRunningStats)}`,
    ...others.filter(([, , differs]) => differs).map(([name, text]) => `${name}=${text}`),
  ]
  return `${module.constructor.name}(${parts.join(', ')})`
}

function activationText(activation: Settings['activation']): string {
  if (activation?.name !== 'leakyRelu') return String(activation?.name)
  return `leakyRelu(${pythonNumber(activation.negativeSlope)})`
}

function python(value: boolean | null): string {
  return value ? 'True' : 'False'
}
