/** From where on something is named. Lengths are in standard deviations of the training output, before the weight. */

/** Wrong running statistics are felt from here on, in root mean square of a channel. */
export const feltBias = 0.1
/** So far apart, in root mean square, the outputs of batches of some two dozen values are. */
export const feltScatter = 0.25
/** How probable it is that drift is named in any channel of a module where there is none. */
export const falseAlarms = 0.01
/** With fewer degrees of freedom the scatter of batches is not measured but assumed. */
export const fewestDegrees = 10
/** Variances of values whose tails are not known are taken to scatter so many times as much as of normal ones. */
export const unknownTails = 10
/** From this ratio of measured to predicted variance on the values of a batch do not count as independent. */
export const correlated = 2
/** The unbiased variance is told from the biased one where it is larger by this factor: below 22 values. */
export const feltUnbiased = 1.05
/** A cause of which there is another proof is named if it explains this part of a channel's mean square. */
export const feltShare = 0.1
