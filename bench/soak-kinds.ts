/** What `npm run soak` calls again and again. */
import { BatchNorm1d, tensor } from '../lib/index.ts'

const shape = [32, 64]
const x = tensor(
  Float32Array.from({ length: 2048 }, (_, index) => (index % 37) - 18),
  shape,
)
const y = new Float32Array(2048)

const bn = new BatchNorm1d(64)

/** Beside which the others are held: it has nothing of this library in it. */
export const control = "JavaScript's own new arrays"

export const kinds: Readonly<Record<string, () => unknown>> = {
  [control]: () => new Float32Array(2048).fill(1),
  'fresh outputs': () => bn.forward(x),
  out: () => bn.forward(x, { out: y }),
  'disposed of': () => bn.forward(x).dispose(),
  'forward and backward': () => bn.backward(bn.forward(x)),
  asynchronous: () => bn.forwardAsync(x),
}
