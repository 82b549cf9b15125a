// The whole of it in ten lines: a step of training, and then what was learned, in use.
import { activeBackend, BatchNorm1d, tensor } from 'batchnorm'

const bn = new BatchNorm1d(2) // PyTorch's defaults
const x = tensor([1, 10, 2, 20, 3, 30, 4, 40], [4, 2])
console.log('normalized    ', bn.forward(x).data)
bn.backward(tensor([1, 0, 0, 0, 0, 0, 0, 1], [4, 2])) // adds to weight.grad and bias.grad
console.log('gradient      ', bn.weight.grad)
console.log('running mean  ', bn.runningMean.data)
console.log('in eval mode  ', bn.eval().forward(x).data)
console.log('backend       ', activeBackend().name)
