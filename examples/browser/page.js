/** The example page: fills masks with the built-in preset, and fine-tunes it on the visitor's sentences. */

import { callbacks, models, optimizers } from "onnxhub";

const PRESET = "xlm_roberta_declaration";

const element = (selector) => document.querySelector(selector);
const status = element("#status");
const buttons = [...document.querySelectorAll("button")];

/** The model, and whether it has learned from the visitor. */
let maskedLM = null;
let taught = false;
/** What the preset guessed before it was taught. */
let before = [];

/** Says what is going on while it goes on, and keeps a second click away. What goes wrong is shown, with its remedy. */
async function during(what, work) {
  status.textContent = `${what} …`;
  for (const button of buttons) button.disabled = true;
  const begun = performance.now();
  try {
    await work();
    status.textContent = `${what}: ${((performance.now() - begun) / 1000).toFixed(2)} s`;
  } catch (error) {
    status.textContent = error.message;
    throw error;
  } finally {
    for (const button of buttons) button.disabled = maskedLM === null || (button.id === "reset" && !taught);
  }
}

/** Loads the preset afresh, on the backend that is chosen. */
async function load() {
  const backend = element("input[name=backend]:checked").value;
  await maskedLM?.dispose();
  maskedLM = null;
  // Sentences are short: with few masks in each, an epoch takes a fraction of a second.
  const preprocessor = await models.MaskedLMPreprocessor.fromPreset(PRESET, { maskSelectionRate: 0.3, maskSelectionLength: 4 });
  maskedLM = await models.MaskedLM.fromPreset(PRESET, { backend, preprocessor });
  taught = false;
  drawLoss([]);
}

const cell = (score) => {
  const bar = Object.assign(document.createElement("div"), {
    className: "bar",
    textContent: score < 0.0005 ? "< 0.1 %" : `${(100 * score).toFixed(1)} %`,
  });
  bar.style.setProperty("--score", score);
  return bar;
};

/** Fills the mask, and shows the guesses; once the model was taught, beside those of before. */
async function fill() {
  const sentence = element("#sentence").value;
  const now = await maskedLM.fillMask(sentence, { topK: taught ? 200 : 5 });
  if (!taught) before = now;
  const scoreOf = (list, id) => list.find((guess) => guess.id === id)?.score ?? 0;
  // Once taught: what it guesses now, and what it guessed before, the likelier first.
  const shown = taught
    ? [...new Map([...now.slice(0, 4), ...before.slice(0, 3)].map((guess) => [guess.id, guess])).values()]
      .map((guess) => ({ ...guess, score: scoreOf(before, guess.id), after: scoreOf(now, guess.id) }))
      .sort((a, b) => b.after - a.after)
    : now;
  element("th.taught").hidden = !taught;
  element("#answers tbody").replaceChildren(...shown.map(({ token, score, after }) => {
    const row = document.createElement("tr");
    row.insertCell().textContent = token.replace(/^▁(?=.)/, "");
    row.insertCell().append(cell(score));
    if (taught) {
      const last = row.insertCell();
      last.className = "taught";
      last.append(cell(after));
    }
    return row;
  }));
}

/** Fine-tunes on the sentences; the loss is drawn after every epoch. */
async function train() {
  const sentences = element("#sentences").value.split("\n").map((line) => line.trim()).filter(Boolean);
  const epochs = element("#epochs").valueAsNumber;
  const losses = [];
  maskedLM.compile({ optimizer: new optimizers.Adam(element("#rate").valueAsNumber) });
  await maskedLM.fit({
    // Each sentence several times, with other masks each: the loss of an epoch then says more than chance.
    x: Array.from({ length: 4 }, () => sentences).flat(),
    batchSize: 16,
    epochs,
    verbose: 0,
    callbacks: [
      new callbacks.LambdaCallback({
        async onEpochEnd(epoch, { loss }) {
          losses.push(loss);
          drawLoss(losses, epochs);
          element("#progress").textContent = `Epoch ${epoch + 1} of ${epochs}: loss ${loss.toFixed(3)}`;
          await new Promise(requestAnimationFrame);
        },
      }),
    ],
  });
  taught = true;
}

const PLOT = { left: 40, right: 710, top: 12, bottom: 190 };

const svg = (name, attributes, text = "") => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
};

/** Draws the loss of every epoch as a dot, and the mean of the last five as a line. */
function drawLoss(losses, epochs = 1) {
  const most = Math.max(0.2, ...losses) * 1.05;
  const x = (epoch) => PLOT.left + (PLOT.right - PLOT.left) * epoch / Math.max(1, epochs - 1);
  const y = (loss) => PLOT.bottom - (PLOT.bottom - PLOT.top) * loss / most;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10].find((size) => most / size <= 5) ?? 20;
  const lines = Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step).flatMap((loss) => [
    svg("line", { class: "grid", x1: PLOT.left, x2: PLOT.right, y1: y(loss), y2: y(loss) }),
    svg("text", { x: PLOT.left - 8, y: y(loss) + 4, "text-anchor": "end" }, loss.toFixed(step < 1 ? 1 : 0)),
  ]);
  const mean = losses.map((_, i) => losses.slice(Math.max(0, i - 4), i + 1)).map((last) => last.reduce((a, b) => a + b) / last.length);
  element("#chart").replaceChildren(
    ...lines,
    svg("text", { x: PLOT.left, y: 212 }, "loss by epoch; line: mean of five"),
    svg("text", { x: PLOT.right, y: 212, "text-anchor": "end" }, losses.length > 0 ? `epoch ${losses.length}` : ""),
    ...losses.map((loss, i) => svg("circle", { class: "each", cx: x(i), cy: y(loss), r: 2.5 })),
    svg("polyline", { class: "loss", points: mean.map((loss, i) => `${x(i)},${y(loss)}`).join(" ") }),
  );
}

element("#fill").addEventListener("submit", (event) => {
  event.preventDefault();
  during("Filled the mask", fill);
});
element("#train").addEventListener("submit", (event) => {
  event.preventDefault();
  during("Learned", train).then(fill);
});
element("#reset").addEventListener("click", () => during("Loaded the preset", load).then(fill));
element("#backends").addEventListener("change", () => during("Loaded the preset", load).then(fill));

drawLoss([]);
const adapter = await navigator.gpu?.requestAdapter();
if (adapter) element("input[value=webgpu]").disabled = false;
await during("Loaded the preset", load);
await fill();
document.documentElement.dataset.ready = "true";
