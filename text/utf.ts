/** UTF-16 to UTF-8 and back, between arrays that are there already. */

/** Puts the UTF-8 of UTF-16 units, with U+FFFD for lone surrogates, into `bytes`, which has room for three a unit; gives the number of bytes. */
export function encodeUtf8(units: Uint16Array, start: number, end: number, bytes: Uint8Array): number {
  let size = 0;
  for (let i = start; i < end; i++) {
    let point = units[i];
    if (point < 0x80) {
      bytes[size++] = point;
      continue;
    }
    if (point < 0x800) {
      bytes[size++] = 0xc0 | point >> 6;
      bytes[size++] = 0x80 | point & 0x3f;
      continue;
    }
    if ((point & 0xf800) === 0xd800) {
      const low = i + 1 < end ? units[i + 1] : 0;
      if (point < 0xdc00 && (low & 0xfc00) === 0xdc00) {
        point = 0x10000 + ((point & 0x3ff) << 10) + (low & 0x3ff);
        i++;
        bytes[size++] = 0xf0 | point >> 18;
        bytes[size++] = 0x80 | point >> 12 & 0x3f;
        bytes[size++] = 0x80 | point >> 6 & 0x3f;
        bytes[size++] = 0x80 | point & 0x3f;
        continue;
      }
      point = 0xfffd;
    }
    bytes[size++] = 0xe0 | point >> 12;
    bytes[size++] = 0x80 | point >> 6 & 0x3f;
    bytes[size++] = 0x80 | point & 0x3f;
  }
  return size;
}

/** Puts the UTF-16 of the first `size` bytes, with U+FFFD for what is no UTF-8, into `units`, which has room for one a byte; gives the number of units. */
export function decodeUtf8(bytes: Uint8Array, size: number, units: Uint16Array): number {
  let length = 0;
  for (let i = 0; i < size;) {
    const first = bytes[i++];
    if (first < 0x80) {
      units[length++] = first;
      continue;
    }
    const more = first < 0xc2 || first > 0xf4 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    let point = first & (0x3f >> more);
    let seen = 0;
    while (seen < more && i + seen < size && (bytes[i + seen] & 0xc0) === 0x80) point = point << 6 | bytes[i + seen++] & 0x3f;
    const least = more === 1 ? 0x80 : more === 2 ? 0x800 : 0x10000;
    if (more === 0 || seen < more || point < least || point > 0x10ffff || (point & 0xfff800) === 0xd800) {
      units[length++] = 0xfffd;
      continue;
    }
    i += more;
    if (point < 0x10000) units[length++] = point;
    else {
      units[length++] = 0xd800 | (point - 0x10000) >> 10;
      units[length++] = 0xdc00 | point & 0x3ff;
    }
  }
  return length;
}
