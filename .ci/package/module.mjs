import assert from 'node:assert/strict'
import { activeBackend, BatchNorm1d, tensor } from 'batchnorm'
import { fromOnnx, toOnnx } from 'batchnorm/onnx'

const x = tensor([
  [1, 10],
  [3, 30],
])
assert.deepEqual([...new BatchNorm1d(2).forward(x).data].map(Math.round), [-1, -1, 1, 1])
assert.equal(activeBackend().name, process.argv[2], String(activeBackend().loadError))
assert.ok(fromOnnx(toOnnx(new BatchNorm1d(2))).module instanceof BatchNorm1d)
