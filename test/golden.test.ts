/**
 * A batch norm means what PyTorch's means. test/golden/make.py has asked PyTorch; here the library is
 * asked the same, on every backend. Bounds are computed from eps, lengths and magnitudes.
 */
import { describe, expect, test } from 'vitest'
import { BatchNorm1d, tensor } from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { goldenCases, openGolden } from './support/golden.ts'
import { replayFunctions, replayModule } from './support/golden-replay.ts'

const both = { modules: replayModule, functions: replayFunctions }

const files = [
  { name: 'float32', about: 'float32, against PyTorch in float64', players: both },
  { name: 'pytorch-float32', about: "float32, against PyTorch's own float32", players: both },
  { name: 'samples', about: "PyTorch's samples of modules, in its own types", players: both },
  {
    name: 'samples-2.6',
    about: 'those that PyTorch 2.6 answers with other bits',
    players: both,
    torch: '2.6.0',
  },
  { name: 'frozen', about: 'parameters that are not trained', players: { modules: replayModule } },
  { name: 'float64', about: 'float64', players: both },
  {
    name: 'halves',
    about: 'bfloat16 and float16, against PyTorch in float64',
    players: both,
  },
  {
    name: 'pytorch-bfloat16',
    about: "bfloat16, against PyTorch's own bfloat16",
    players: both,
  },
].map((file) => ({ torch: '1.13.0', ...file, cases: goldenCases(file.name) }))

test('PyTorch 1.13 and 2.6 have answered at least 300 cases', () => {
  for (const { name, torch } of files) {
    using file = openGolden(name)
    expect(file.metadata.torch.slice(0, torch.length)).toBe(torch)
  }
  const counts = files.map(({ name, cases }) => `${name} ${cases.length}`)
  const total = files.reduce((sum, { cases }) => sum + cases.length, 0)
  console.log(`${total} golden cases: ${counts.join(', ')}`)
  expect(total).toBeGreaterThanOrEqual(300)
})

describeEachBackend('what PyTorch answers, step after step', () => {
  describe.each(files)('$about', ({ cases, players }) => {
    describe.each(Object.entries(players))('%s', (_, replay) => test.each(cases)('$name', replay))
  })
})

describeEachBackend('where PyTorch cancels Infinity with Infinity', () => {
  test('a running variance of 0 in eval gives the limits, with eps: 0', () => {
    const module = new BatchNorm1d(1, { eps: 0 }).eval()
    module.runningMean?.data.set([3])
    module.runningVar?.data.set([0])
    const y = module.forward(tensor([[3], [4], [2]]))
    expect([...y.data]).toEqual([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    // The gradient is PyTorch's.
    const gradInput = module.backward(tensor([[1], [0], [-4]]))
    expect([...gradInput.data]).toEqual([Number.POSITIVE_INFINITY, Number.NaN, Number.NEGATIVE_INFINITY])
    expect([...(module.bias?.grad ?? [])]).toEqual([-3])
  })
})

/**
 * A case from the field: BatchNorm1d(10, affine=False) in training, printed by PyTorch to 4 decimals.
 * The print that came with it reads 910.9046 where 610.9046 stands here: one digit was misread, for
 * PyTorch makes 0.4537, -1.3869 and 0.9332 of 910.9046, and the output that was printed of 610.9046.
 */
const field = {
  input: `
    553.9385  358.0948 -311.0905  946.6582  320.4365 1158.4661  610.9046 -300.3665 -730.4023 -432.1760
   -428.9000 -373.9978  304.2072 -230.9816  246.2242  757.4435 -489.5371 -2545.6099 2042.6073 -763.0421
   -350.7178 1166.3325 -511.8971 -1168.5955 1719.1627 -95.6929 1275.7457 2684.2368 -1186.4659 -1935.6162`,
  output: `
    1.4106  -0.0403  -0.3979   1.2684  -0.6516   1.0550   0.1995  -0.1150  -0.5413   0.9479
   -0.7929  -1.2041   1.3742  -0.0925  -0.7612   0.2882  -1.3122  -1.1632   1.4021   0.4350
   -0.6177   1.2444  -0.9763  -1.1759   1.4128  -1.3431   1.1128   1.2782  -0.8609  -1.3829`,
}

describeEachBackend('a table from the field', () => {
  test('is reproduced to the printed decimals', () => {
    const words = (text: string) => text.trim().split(/\s+/)
    const module = new BatchNorm1d(10, { affine: false })
    const y = module.forward(tensor(Float32Array.from(words(field.input), Number), [3, 10]))
    expect(Array.from(y.data, (value) => value.toFixed(4))).toEqual(words(field.output))
  })
})
