import { invalidType, invalidValue } from '../../checks/errors.ts'
import { optionNames, optionsObject } from '../../checks/options.ts'
import type { AnyBatchNorm } from '../../modules/batch-norm.ts'
import { internals } from '../../modules/internals.ts'
import { toConvention } from '../conventions/to-convention.ts'
import { attributeFloat } from './float32.ts'
import { attributeTypes, dataTypes } from './messages.ts'
import { encodeModel } from './schema.ts'
import { rawBytes } from './stored-tensor.ts'

/** Options of `toOnnx`. */
export interface ToOnnxOptions {
  /** How many axes the input has: 2 (the default) or 3 of a BatchNorm1d, 4 of a 2d, 5 of a 3d. */
  rank?: number
  /** The name of the node and of the graph. Default `'batchnorm'`. */
  name?: string
  /** n, to make the running variance biased, as that of `toConvention`. */
  valuesPerChannel?: number
}

const names = optionNames<ToOnnxOptions>({ name: true, rank: true, valuesPerChannel: true })

/** Operator set 15, the last that changed BatchNormalization, came with version 8 of the format. */
const opset = 15n
const irVersion = 8n

const positions: Readonly<Record<number, readonly string[]>> = {
  2: [],
  3: ['L'],
  4: ['H', 'W'],
  5: ['D', 'H', 'W'],
}

/**
 * A module as the bytes of an .onnx file with one node, `BatchNormalization` of operator set 15, whose
 * input X and output Y are `[N, C, ...]`; all sizes but C are open. A module that normalizes with the
 * running statistics (in eval mode, frozen) becomes the node of inference, one that normalizes with the
 * batch's the one with `training_mode` and its two further outputs, running_mean and running_var. All
 * tensors are FLOAT, those of a float64 module DOUBLE.
 *
 * ```ts
 * writeFileSync('bn.onnx', toOnnx(bn.eval()))
 * ```
 *
 * What is lost is what `toConvention('onnx', module).notes` say; eps and momentum are rounded to float32.
 *
 * @throws TypeError or RangeError for a module that ONNX cannot say (no running statistics, a cumulative
 * average, channels last, an activation), and for a rank that the module does not take
 */
export function toOnnx(module: AnyBatchNorm, options: ToOnnxOptions = {}): Uint8Array {
  const { name = 'batchnorm', rank, valuesPerChannel } = optionsObject(options, names)
  if (typeof name !== 'string' || name === '') throw invalidType('name', 'a name', name)
  const { parameters } = toConvention('onnx', module, { valuesPerChannel })
  const { epsilon, momentum, training_mode, ...tensors } = parameters
  const sizes = sizesOf(module, rank)
  const { numFeatures: channels, dtype } = module
  const elemType = dataTypes[dtype]
  const statistics = training_mode === 1 ? ['running_mean', 'running_var'] : []
  return encodeModel({
    irVersion,
    producerName: 'batchnorm',
    opsetImport: [{ version: opset }],
    graph: {
      name,
      node: [
        {
          name,
          opType: 'BatchNormalization',
          input: ['X', ...Object.keys(tensors)],
          output: ['Y', ...statistics],
          attribute: [
            { name: 'epsilon', type: attributeTypes.float, f: attributeFloat('eps', epsilon as number) },
            {
              name: 'momentum',
              type: attributeTypes.float,
              f: attributeFloat('momentum', momentum as number),
            },
            { name: 'training_mode', type: attributeTypes.int, i: BigInt(training_mode as number) },
          ],
        },
      ],
      initializer: Object.entries(tensors).map(([input, values]) => ({
        name: input,
        dims: [BigInt(channels)],
        dataType: elemType,
        rawData: rawBytes(values, elemType),
      })),
      input: [valueInfo('X', elemType, sizes)],
      output: [
        valueInfo('Y', elemType, sizes),
        ...statistics.map((output) => valueInfo(output, elemType, [channels])),
      ],
    },
  })
}

/** `['N', 3, 'H', 'W']` */
function sizesOf(module: AnyBatchNorm, given: number | undefined): (string | number)[] {
  const largest = module[internals].rank()
  const ranks = largest === 3 ? [2, 3] : [largest]
  const rank = given ?? ranks[0]
  if (!ranks.includes(rank)) throw invalidValue('rank', `${ranks.join(' or ')}, for ${module},`, rank)
  return ['N', module.numFeatures, ...positions[rank]]
}

function valueInfo(name: string, elemType: number, sizes: readonly (string | number)[]) {
  const dim = sizes.map((size) =>
    typeof size === 'string' ? { dimParam: size } : { dimValue: BigInt(size) },
  )
  return { name, type: { tensorType: { elemType, shape: { dim } } } }
}
