"""PyTorch, by the line protocol of bench/peers/worker.ts.

What is called is the operator itself (torch.native_batch_norm, and the backward that autograd would
call), without autograd and without a module around it. Each call makes its outputs anew: there is
no other way.
"""

import sys
import time

import torch

EPS = 1e-5
MOMENTUM = 0.1


def load_floats(folder, name, shape):
    size = 1
    for length in shape:
        size *= length
    return torch.from_file(f'{folder}/{name}.f32', size=size, dtype=torch.float32).clone().reshape(shape)


class Batch:
    def __init__(self, folder, outer, channels, inner):
        shape = (outer, channels) if inner == 1 else (outer, channels, inner)
        self.x = load_floats(folder, 'x', shape)
        self.grad_output = load_floats(folder, 'gradOutput', shape)
        self.weight = load_floats(folder, 'weight', (channels,))
        self.bias = load_floats(folder, 'bias', (channels,))
        self.running = [load_floats(folder, name, (channels,)) for name in ('runningMean', 'runningVariance')]
        # Those that training moves; eval reads the ones above.
        self.moving = [buffer.clone() for buffer in self.running]
        self.statistics = self.forward()[1:]

    def forward(self):
        return torch.native_batch_norm(self.x, self.weight, self.bias, *self.moving, True, MOMENTUM, EPS)

    def eval(self):
        return torch.native_batch_norm(self.x, self.weight, self.bias, *self.running, False, MOMENTUM, EPS)[:1]

    def backward(self):
        return torch.ops.aten.native_batch_norm_backward(
            self.grad_output, self.x, self.weight, *self.moving, *self.statistics, True, EPS, [True, True, True]
        )

    def call(self, operation):
        return {'forward': self.forward, 'eval': self.eval, 'backward': self.backward}[operation]


def microseconds(call, calls):
    """A call's time. The result of the last call is let go after the clock was read."""
    begin = time.perf_counter_ns()
    for _ in range(calls):
        result = call()
    end = time.perf_counter_ns()
    del result
    return (end - begin) / calls / 1000


def time_of(batch, operation, threads, calls, samples):
    torch.set_num_threads(int(threads))
    call, calls, samples = batch.call(operation), int(calls), int(samples)
    for _ in range((samples + 3) // 4):
        microseconds(call, calls)
    return ' '.join(f'{microseconds(call, calls):.6g}' for _ in range(samples))


def values_of(batch, operation, threads, stride):
    torch.set_num_threads(int(threads))
    results = batch.call(operation)()
    wanted = 3 if operation == 'backward' else 1
    first, *others = [result.reshape(-1) for result in results[:wanted]]
    return ' '.join(f'{value:.9g}' for part in (first[:: int(stride)], *others) for value in part.tolist())


def main():
    torch.set_grad_enabled(False)
    print(f'PyTorch {torch.__version__}', flush=True)
    batch = None
    for line in sys.stdin:
        request, *words = line.split()
        try:
            if request == 'load':
                batch = None
                batch = Batch(words[0], *map(int, words[1:]))
                answer = 'ok'
            elif request == 'time':
                answer = time_of(batch, *words)
            elif request == 'values':
                answer = values_of(batch, *words)
            else:
                answer = f'error unknown request {request}'
        except Exception as error:
            answer = 'error ' + ' '.join(str(error).split())
        print(answer, flush=True)


main()
