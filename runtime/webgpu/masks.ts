/** Draws dropout masks on the GPU, to the bit what `RandomStream` draws on the processor. */

import type { RandomStream } from "../../random.ts";
import { BufferUsage } from "./usage.ts";

const WORKGROUP = 256;

/** `random.ts`, `fillKeep`, with the keys in `stream`: MurmurHash3's finalizer twice over a counter. */
const SHADER = `
struct Stream { k0: u32, k1: u32, threshold: u32, size: u32, scale: f32 }
@group(0) @binding(0) var<uniform> stream: Stream;
@group(0) @binding(1) var<storage, read_write> mask: array<f32>;

fn mix32(x: u32) -> u32 {
  var h = (x ^ (x >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  return h ^ (h >> 16u);
}

@compute @workgroup_size(${WORKGROUP})
fn fill(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * groups.x * ${WORKGROUP}u + id.x;
  if (index >= stream.size) { return; }
  let drawn = mix32(mix32((index * 0x9e3779b9u) ^ stream.k0) + stream.k1);
  mask[index] = select(0.0, stream.scale, drawn >= stream.threshold);
}`;

/** The shader, compiled for one device. */
export class MaskShader {
  readonly #device: GPUDevice;
  readonly #pipeline: GPUComputePipeline;

  /** Compiles it. */
  constructor(device: GPUDevice) {
    this.#device = device;
    const module = device.createShaderModule({ code: SHADER });
    this.#pipeline = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "fill" } });
  }

  /** Fills the first `size` floats of a buffer: `scale` where the stream keeps, 0 where it drops. */
  fill(buffer: GPUBuffer, stream: RandomStream, rate: number, size: number, scale: number): void {
    const device = this.#device;
    const threshold = Math.round(rate * 2 ** 32);
    const uniform = device.createBuffer({ size: 32, usage: BufferUsage.UNIFORM | BufferUsage.COPY_DST });
    const values = new Uint32Array(8);
    values.set([...stream.keys, Math.min(threshold, 2 ** 32 - 1), size]);
    // No draw reaches 2^32.
    new Float32Array(values.buffer)[4] = threshold < 2 ** 32 ? scale : 0;
    device.queue.writeBuffer(uniform, 0, values);
    const entries = [uniform, buffer].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const bindGroup = device.createBindGroup({ layout: this.#pipeline.getBindGroupLayout(0), entries });
    const groups = Math.ceil(size / WORKGROUP);
    const width = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(width, Math.ceil(groups / width));
    pass.end();
    device.queue.submit([encoder.finish()]);
    uniform.destroy();
  }
}
