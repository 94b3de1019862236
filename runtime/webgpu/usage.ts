/** WebGPU's flags by their names in the specification; not every runtime with a GPU has them as globals. */

/** What a buffer is used for. Source: WebGPU, "GPUBufferUsage". */
export const BufferUsage = { MAP_READ: 0x1, COPY_SRC: 0x4, COPY_DST: 0x8, UNIFORM: 0x40, STORAGE: 0x80 } as const;

/** How a buffer is mapped. Source: WebGPU, "GPUMapMode". */
export const MapMode = { READ: 0x1 } as const;
