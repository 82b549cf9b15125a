import type { AnyBatchNorm } from '../modules/batch-norm.ts'

/**
 * Puts a module in eval mode, where nothing cuts or corrects the statistics of a batch, with these switches; a frozen one
 * has no others than its own.
 *
 * @returns what makes mode and switches those that they were
 */
export function inEval(
  module: AnyBatchNorm,
  switches: Pick<AnyBatchNorm, 'useBatchStats' | 'updateStats'>,
): () => void {
  const { training, useBatchStats, updateStats, frozen } = module
  Object.assign(module.eval(), frozen ? {} : switches)
  return () => {
    Object.assign(module.train(training), frozen ? {} : { useBatchStats, updateStats })
  }
}
