/** How much a result of batch norm may be off, relative to the largest value: a handful of roundings to float32. */
export const ROUNDING = 8 * 2 ** -24

/** How much of the largest logit a network in another form may be off: float32 keeps some 7 digits of each sum on the way. */
export const SLIGHT = 1e-5
