/** Contestants in a page: each lane loads a checkpoint and fills the mask of a text. `bench` is what the driver calls. */

const TOP = 5;

/** For each lane: loads the checkpoint; gives what fills, what frees, and facts. */
const LANES = {
  async onnxhub({ checkpoint, threads, weights = "float32" }) {
    const { models } = await import("/onnxhub/onnxhub.js");
    const maskedLM = await models.MaskedLM.fromPreset(new URL(checkpoint, location.href).href, { backend: "wasm", threads });
    await maskedLM.quantize(weights);
    return {
      fill: async (text) => (await maskedLM.fillMask(text, { topK: TOP })).map(({ id }) => id),
      dispose: () => maskedLM.dispose(),
      facts: {},
    };
  },

  async "transformers.js"({ checkpoint, threads, weights }) {
    const { env, pipeline } = await import("/peers/@huggingface/transformers/dist/transformers.min.js");
    env.allowRemoteModels = false;
    env.allowLocalModels = true;
    env.localModelPath = "/checkpoints/";
    env.useBrowserCache = false;
    env.useWasmCache = false;
    // Its own default are half of the cores; and it would fetch its WebAssembly from a content delivery network.
    Object.assign(env.backends.onnx.wasm, { wasmPaths: "/peers/onnxruntime-web/dist/", numThreads: threads });
    const name = checkpoint.split("/").at(-2);
    const fill = await pipeline("fill-mask", name, { device: "wasm", dtype: weights === "int8" ? "q8" : "fp32" });
    return {
      fill: async (text) => (await fill(text, { top_k: TOP })).map(({ token }) => token),
      dispose: () => fill.dispose(),
      facts: { runtime: `transformers.js ${env.version}` },
    };
  },
};

const prepared = new Map();

globalThis.bench = {
  async prepare(lane, workload) {
    if (!crossOriginIsolated) throw new Error("the page is not isolated, and so has no threads");
    const { fill, dispose, facts } = await LANES[lane](workload);
    prepared.set(lane, { fill, dispose, text: workload.text });
    return facts;
  },
  async step(lane) {
    const { fill, text } = prepared.get(lane);
    const start = performance.now();
    const tokens = await fill(text);
    return { seconds: (performance.now() - start) / 1000, facts: { tokens } };
  },
  async dispose(lane) {
    await prepared.get(lane)?.dispose();
    prepared.delete(lane);
  },
};
