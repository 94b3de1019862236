/**
 * HDF5 files as Keras writes and reads them.
 *
 * Writing goes through h5wasm. Reading does not: the C library inside it was not made for hostile files, where it loops, aborts or
 * grows its heap to 2 GiB for good before any size can be checked. What is read here is the layout that h5py writes by default.
 */

export { type Hdf5Dataset, type Hdf5Reader, openHdf5 } from "./hdf5_read.ts";
export { createHdf5, type Hdf5Data, type Hdf5Writer } from "./hdf5_write.ts";
export type { ElementType, ReadTarget } from "./elements.ts";
