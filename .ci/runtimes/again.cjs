// Loads the package again after its files have left the registry, then within other realms, as jest does, and the
// addon by itself, on the main thread and in a worker. Each copy works, with modules and arrays of the others.
const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { createRequire, wrap } = require('node:module')
const { dirname } = require('node:path')
const { createContext, runInContext } = require('node:vm')
const { Worker, isMainThread } = require('node:worker_threads')

const [addon] = process.argv.slice(2)

function afresh() {
  for (const file of Object.keys(require.cache)) delete require.cache[file]
  return require
}

// As a test runner loads it: our files with the globals of a realm, which has those of the language alone, and what is
// Node's from here.
function inAnotherRealm() {
  const context = createContext()
  const modules = new Map()
  const requireFrom = (place) => {
    const require = createRequire(place)
    const load = (name) => {
      const path = require.resolve(name)
      if (!path.endsWith('.cjs')) return require(name)
      if (modules.has(path)) return modules.get(path).exports
      const module = { exports: {} }
      modules.set(path, module)
      const run = runInContext(wrap(readFileSync(path, 'utf8')), context, { filename: path })
      run(module.exports, requireFrom(path), module, path, dirname(path))
      return module.exports
    }
    return Object.assign(load, { resolve: require.resolve })
  }
  return requireFrom(__filename)
}

const copies = [require, afresh(), inAnotherRealm(), inAnotherRealm()].map((load) => ({
  ...load('batchnorm'),
  ...load('batchnorm/onnx'),
}))

for (const { activeBackend, BatchNorm1d, encodeSafetensors, tensor, toOnnx } of copies) {
  assert.equal(activeBackend().name, 'native', String(activeBackend().loadError))
  // What ONNX stores, so that a module comes back from it as it was.
  const bn = new BatchNorm1d(2, { storedVariance: 'biased' })
  for (const other of copies) {
    const y = bn.forward(other.tensor(Float32Array.of(1, 10, 3, 30), [2, 2]))
    assert.deepEqual(Array.from(y.data, Math.round), [-1, -1, 1, 1])
    new other.BatchNorm1d(2).loadStateDict(bn.stateDict())
    assert.equal(other.decodeSafetensors(encodeSafetensors({ y })).get('y').data[0], y.data[0])
    assert.equal(String(other.fromOnnx(toOnnx(bn)).module.eval()), String(bn.eval()))
    bn.train()
    assert.throws(() => bn.forward(other.tensor([1, 2])), { message: /^Expected input of shape/ })
  }
  // Memory that is used again: 16 MiB.
  const large = bn.forward(tensor(new Float32Array(2 ** 22), [2 ** 21, 2]))
  large.dispose()
  assert.equal(large.data.length, 0)
}

const loaded = [1, 2].map(() => {
  const module = { exports: {} }
  process.dlopen(module, addon)
  return module.exports
})
assert.deepEqual(loaded[0].supportedInstructionSets(), loaded[1].supportedInstructionSets())

if (isMainThread) {
  new Worker(__filename, { argv: [addon] }).on('exit', (code) => assert.equal(code, 0))
}
