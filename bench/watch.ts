/**
 * What `watch` costs a forward in eval, with `out`: the watched call, and one of which each is observed, against the plain
 * call, as the median of ratios of neighbouring turns. `npm run bench:watch`
 */
import { median, ratio, threeDigits } from '../cli/measure/numbers.ts'
import { elementsOf, nameOf } from '../cli/measure/shapes.ts'
import { formatTable } from '../cli/table.ts'
import { BatchNorm1d, BatchNorm2d, setNumThreads, tensor, watch } from '../lib/index.ts'
import type { Shape } from '../lib/tensor/shape.ts'
import { describeProcessor, processorLine } from './processor.ts'

/** From a sample of a small layer to what the caches do not hold. */
const shapes: readonly Shape[] = [
  [1, 64],
  [32, 64],
  [256, 64],
  [256, 512],
  [4096, 256],
  [1, 64, 56, 56],
  [32, 64, 56, 56],
]
const rounds = 21
/** Values of a turn. */
const work = 3_000_000

function measure(shape: Shape): readonly string[] {
  const elements = elementsOf(shape)
  const x = tensor(
    Float32Array.from({ length: elements }, (_, index) => Math.sin(index)),
    shape,
  )
  const out = new Float32Array(elements)
  const make = () => new (shape.length === 2 ? BatchNorm1d : BatchNorm2d)(shape[1]).eval()
  const [plain, watched, observed] = [make(), make(), make()]
  using _ = watch(watched)
  using __ = watch(observed, { every: 1 })
  const calls = Math.max(64, Math.round(work / elements))
  const turn = (bn: typeof plain) => {
    const begin = process.hrtime.bigint()
    for (let call = 0; call < calls; call++) bn.forward(x, { out })
    return Number(process.hrtime.bigint() - begin) / calls / 1e3
  }
  for (const bn of [plain, watched, observed]) turn(bn)
  const turns = Array.from({ length: rounds }, () => [turn(plain), turn(watched), turn(observed)])
  const times = (which: number) => ratio(median(turns.map((each) => each[which] / each[0])))
  return [nameOf(shape), threeDigits(median(turns.map(([first]) => first))), times(1), times(2)]
}

console.log(processorLine(describeProcessor()))
for (const threads of [1, 2]) {
  setNumThreads(threads)
  console.log(`\nThreads: ${threads}`)
  console.log(formatTable(['shape', 'plain, us', 'watched', 'every: 1'], shapes.map(measure)))
}
