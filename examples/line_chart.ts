/** A line chart as SVG: axes with ticks, a legend, a colour a line. */

/** One line. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** What a chart says about itself. */
export interface ChartText {
  readonly title: string;
  readonly x: string;
  readonly y: string;
}

/** Eight colours that colour-blind readers can tell apart (Okabe and Ito 2008). */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9", "#b5a900"];
const WIDTH = 900;
const HEIGHT = 480;
const PLOT = { left: 64, right: 650, top: 48, bottom: 424 };

/** The lines, in their order in the legend. */
export function lineChart(lines: readonly Line[], text: ChartText): string {
  const points = lines.flatMap((line) => line.points);
  const xs = scale(points.map(([x]) => x), PLOT.left, PLOT.right);
  const ys = scale(points.map(([, y]) => y), PLOT.bottom, PLOT.top);
  const middle = (PLOT.left + PLOT.right) / 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${middle}" y="26" text-anchor="middle" font-size="15">${escape(text.title)}</text>
${ys.ticks.map((y) => tickLine(PLOT.left, ys.at(y), PLOT.right, ys.at(y), label(y), PLOT.left - 8, ys.at(y) + 4, "end")).join("\n")}
${xs.ticks.map((x) => tickLine(xs.at(x), PLOT.top, xs.at(x), PLOT.bottom, label(x), xs.at(x), PLOT.bottom + 18, "middle")).join("\n")}
<path d="M${PLOT.left} ${PLOT.top}V${PLOT.bottom}H${PLOT.right}" fill="none" stroke="#666"/>
<text x="${middle}" y="${HEIGHT - 14}" text-anchor="middle">${escape(text.x)}</text>
<text transform="translate(18 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)" text-anchor="middle">${escape(text.y)}</text>
${lines.map(({ points }, i) => `<path d="${path(points.map(([x, y]) => [xs.at(x), ys.at(y)]))}" fill="none" ${stroke(i)}/>`).join("\n")}
${lines.map(({ name }, i) => legend(name, i)).join("\n")}
</svg>
`;
}

/** From values to pixels, with five or so round ticks; it begins on one. */
function scale(values: readonly number[], from: number, to: number): { ticks: number[]; at: (value: number) => number } {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const rough = (high - low || 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough)!;
  const first = Math.floor(low / step);
  const start = first * step;
  const end = Math.max(high, start + step);
  const ticks = Array.from({ length: Math.floor((end - start) / step + 1e-9) + 1 }, (_, i) => (first + i) * step);
  return { ticks, at: (value) => from + (value - start) / (end - start) * (to - from) };
}

function label(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString("en-US");
}

function tickLine(x1: number, y1: number, x2: number, y2: number, text: string, x: number, y: number, anchor: string): string {
  return `<path d="${path([[x1, y1], [x2, y2]])}" stroke="#ddd"/><text x="${round(x)}" y="${
    round(y)
  }" text-anchor="${anchor}">${text}</text>`;
}

function legend(name: string, i: number): string {
  const y = PLOT.top + 12 + 22 * i;
  const x = PLOT.right + 20;
  return `<path d="${path([[x, y - 4], [x + 28, y - 4]])}" ${stroke(i)}/><text x="${x + 36}" y="${y}">${escape(name)}</text>`;
}

/** A colour a line; every other one dashed, so that it can be told apart in print. */
function stroke(i: number): string {
  return `stroke="${COLOURS[i % COLOURS.length]}" stroke-width="2"${i % 2 ? ` stroke-dasharray="6 3"` : ""}`;
}

function path(points: readonly (readonly [number, number])[]): string {
  return points.map(([x, y], i) => `${i ? "L" : "M"}${round(x)} ${round(y)}`).join("");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
