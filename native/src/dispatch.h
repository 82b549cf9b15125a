// Which kernels run: the best that this CPU supports, unless another set was chosen.
#pragma once

#include "kernels.h"

namespace batchnorm {
const Kernels& kernels();
}
