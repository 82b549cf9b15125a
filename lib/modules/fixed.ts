/** What of a module cannot be set, and what does what the caller may have wanted. */

/** Of a module: what its options said. */
const another = (name: string) =>
  `make another module with it: new BatchNorm1d(module.numFeatures, { ...module.options, ${name} })`

const values = (name: string) => `module.${name}.data.set(values) changes its values`

export const fixedInModule: Readonly<Record<string, string>> = {
  numFeatures: 'make another module with that many channels',
  weight: values('weight'),
  rawWeight: values('rawWeight'),
  bias: values('bias'),
  runningMean: values('runningMean'),
  runningVar: values('runningVar'),
  numBatchesTracked: 'module.numBatchesTracked.data[0] = 0n sets the counter',
  renormSteps: 'module.renormSteps.data[0] = 0n begins the schedule anew',
  frozen: 'freeze() and unfreeze() change it',
  normalizesWithBatch: 'train(), eval(), useBatchStats and freeze() decide it',
  movesRunningStats: 'train(), eval(), updateStats and freeze() decide it',
  options: 'it is a copy: eps, momentum and the switches are properties of the module',
  trackRunningStats:
    'useBatchStats = true normalizes with the batch, updateStats = false leaves the statistics alone',
  dtype: another('dtype'),
  layout: another('layout'),
  storedVariance: another('storedVariance'),
  singleValue: another('singleValue'),
  nonFinite: another('nonFinite'),
  activation: another('activation'),
  virtualBatchSize: another('virtualBatchSize'),
  renorm: another('renorm'),
}

/** Of a batch norm of several domains. */
export const fixedInDomains: Readonly<Record<string, string>> = {
  domains: 'addDomain(name) and removeDomain(name) change them',
  numFeatures: fixedInModule.numFeatures,
  weight: fixedInModule.weight,
  rawWeight: fixedInModule.rawWeight,
  bias: fixedInModule.bias,
  frozen: fixedInModule.frozen,
  options: fixedInModule.options,
  dtype: 'make another module with it',
  layout: 'make another module with it',
}

/** Of the tensors of a module, whose arrays backends and optimizers hold. */
export const fixedInTensor: Readonly<Record<string, string>> = {
  data: 'data.set(values) changes its values',
  shape: 'a module has as many channels as it was made with',
  dtype: 'a module has the type that it was made with',
}

/** Of a parameter. */
export const fixedInParameter: Readonly<Record<string, string>> = {
  ...fixedInTensor,
  grad: 'zeroGrad() of the module, or grad.fill(0), sets it to 0',
}
