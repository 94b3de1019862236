/** Numbers as people read them: counts, large quantities, bytes. */

/** With separators: `277,450,752`. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let power = 0;
  while (value >= base && power < units.length - 1) {
    value /= base;
    power++;
  }
  const digits = power === 0 ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0;
  const text = value.toFixed(digits);
  return units[power] ? `${text} ${units[power]}` : text;
}

/** By powers of 1000: `22.4 G`. */
export function quantity(value: number): string {
  return scaled(value, 1000, ["", "k", "M", "G", "T", "P"]);
}

/** Bytes by powers of 1024: `1.04 GiB`. */
export function bytes(value: number): string {
  return scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
}
