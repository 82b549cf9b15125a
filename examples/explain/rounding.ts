/** How much a result of batch norm may be off, relative to the largest value: a handful of roundings to float32. */
export const ROUNDING = 8 * 2 ** -24
