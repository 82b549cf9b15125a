/** The four vectors of a batch norm. */
import { invalidShape, invalidType } from '../../checks/errors.ts'
import type { Constants } from './constants.ts'
import { dataTypes } from './messages.ts'
import type { FoundNode } from './nodes.ts'
import type { Constant } from './stored-tensor.ts'

const vectors = ['scale', 'B', 'input_mean', 'input_var']

/**
 * scale, B, mean and variance of a batch norm, which are constants of its model.
 *
 * @throws TypeError or RangeError for those that are computed at run time, of another type, or of other axes
 */
export function vectorsOf({ name, node }: FoundNode, constants: Constants): Constant[] {
  return vectors.map((vector, index) => {
    const constant = constants.constant(`${vector} of ${name}`, node.input[index + 1])
    if (!isFloating(constant)) {
      const known = 'float32, float64, float16 or bfloat16'
      throw invalidType(`the type of ${vector} of ${name}`, known, `data_type ${constant.dataType}`)
    }
    if (constant.dims.length !== 1) throw invalidShape(`${vector} of ${name}`, '[C]', constant.dims)
    return constant
  })
}

export function isFloating({ dataType }: Constant): boolean {
  return dataType !== dataTypes.int32 && dataType !== dataTypes.int64
}
