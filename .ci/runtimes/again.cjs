// Loads the package again after its files have left the registry, then within another realm, as jest does, and the
// addon by itself, on the main thread and in a worker. Each copy works, with the modules and arrays of the others.
const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { createRequire, wrap } = require('node:module')
const { dirname } = require('node:path')
const { createContext, runInContext } = require('node:vm')
const { Worker, isMainThread } = require('node:worker_threads')

const [addon] = process.argv.slice(2)

// The package as a test runner loads it: our files with the globals of a realm, what is Node's from here.
function requireInRealm(context, path, modules = new Map()) {
  if (modules.has(path)) return modules.get(path).exports
  const require = createRequire(path)
  const load = (name) => {
    const found = require.resolve(name)
    return found.endsWith('.cjs') ? requireInRealm(context, found, modules) : require(found)
  }
  const module = { exports: {} }
  modules.set(path, module)
  const body = runInContext(wrap(readFileSync(path, 'utf8')), context, { filename: path })
  body(module.exports, Object.assign(load, { resolve: require.resolve }), module, path, dirname(path))
  return module.exports
}

function requireAgain() {
  for (const file of Object.keys(require.cache)) delete require.cache[file]
  return require('batchnorm')
}

const realm = () =>
  requireInRealm(createContext(), require.resolve('batchnorm'))
const copies = [require('batchnorm'), requireAgain(), realm(), realm()]

const values = [1, 10, 3, 30]
for (const { activeBackend, BatchNorm1d, encodeSafetensors } of copies) {
  assert.equal(activeBackend().name, 'native', String(activeBackend().loadError))
  const bn = new BatchNorm1d(2)
  for (const other of copies) {
    const y = bn.forward(other.tensor(Float32Array.from(values), [2, 2]))
    assert.deepEqual(Array.from(y.data, Math.round), [-1, -1, 1, 1])
    new other.BatchNorm1d(2).loadStateDict(bn.stateDict())
    assert.equal(other.decodeSafetensors(encodeSafetensors({ y })).get('y').data[0], y.data[0])
    assert.throws(() => bn.forward(other.tensor([1, 2])), { message: /^Expected input of shape/ })
  }
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
