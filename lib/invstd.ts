/**
 * `1 / sqrt(M2 / count + eps)` of a channel; 0 for a constant channel with an eps of 0, as in PyTorch, so that
 * its output is the bias.
 */
export function invstdOf(m2: number, count: number, eps: number): number {
  const variance = m2 / count + eps
  return variance === 0 ? 0 : 1 / Math.sqrt(variance)
}
