/** Lets others run between the pieces of a long computation. */
export const breath = () => new Promise<void>((resolve) => setImmediate(resolve))
