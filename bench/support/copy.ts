/** The plainest pass over an array that TypeScript can make: what its other loops are held against. */
export function copyLoop(x: Float32Array, y: Float32Array): void {
  for (let index = 0; index < x.length; index++) y[index] = x[index]
}
