import type { AnyBatchNorm } from './batch-norm.ts'
import { BatchNorm2d } from './batch-norm-2d.ts'
import { BatchNorm3d } from './batch-norm-3d.ts'

/** How many axes the largest input has that a module takes. */
export function rankOf(module: AnyBatchNorm): 3 | 4 | 5 {
  if (module instanceof BatchNorm3d) return 5
  return module instanceof BatchNorm2d ? 4 : 3
}
