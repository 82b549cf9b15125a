/**
 * `program BACKEND [REASON]`: that the package does its work in whatever runs this. The backend serves, and if the native
 * one should but may not, `loadError` says the reason. `program BACKEND hash`: and it gives the bits of the specification.
 */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { activeBackend, BatchNorm1d, decodeSafetensors, encodeSafetensors, tensor } from '../../lib/index.ts'
import { expectedHash, hashOfMixedOperations } from '../../test/support/mixed-operations.ts'

async function main(backend: string, more = ''): Promise<void> {
  const bn = new BatchNorm1d(2)
  const y = bn.forward(
    tensor([
      [1, 10],
      [3, 30],
    ]),
  )
  assert.deepEqual([...y.data].map(Math.round), [-1, -1, 1, 1])
  assert.ok(bn.backward(y).data.every((value) => Math.abs(value) < 1e-4))
  const { name, loadError } = activeBackend()
  assert.equal(name, backend, String(loadError))

  // Large enough for memory that is used again.
  using large = await bn.forwardAsync(tensor(new Float32Array(40_000).fill(3), [20_000, 2]))
  assert.deepEqual([...new Set(large.data)], [0])
  const file = decodeSafetensors(encodeSafetensors(bn.stateDict()))
  assert.deepEqual(file.get('running_mean').data, bn.runningMean?.data)
  assert.match(inspect(y), /^tensor\(/)
  assert.throws(() => bn.forward(tensor([1, 2])), /^RangeError: Expected input of shape/)

  if (more === 'hash') assert.equal(hashOfMixedOperations(), expectedHash)
  else if (more !== '') assert.ok(loadError?.message.includes(more), String(loadError))
  else assert.equal(loadError, undefined)
}

const [backend, more] = process.argv.slice(2)
main(backend, more)
