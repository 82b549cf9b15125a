const assert = require('node:assert/strict')
const { activeBackend, BatchNorm1d, tensor } = require('batchnorm')
const { fromOnnx, toOnnx } = require('batchnorm/onnx')

const x = tensor([
  [1, 10],
  [3, 30],
])
assert.deepEqual([...new BatchNorm1d(2).forward(x).data].map(Math.round), [-1, -1, 1, 1])
assert.equal(activeBackend().name, process.argv[2], String(activeBackend().loadError))
assert.ok(fromOnnx(toOnnx(new BatchNorm1d(2))).module instanceof BatchNorm1d)
