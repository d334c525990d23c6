"use strict";
// Boxes from a score map, by the rules of lctr_jax/localization/maps.py and regions.py.
const regions = (() => {
  // Base64 of little-endian float32 values, row by row.
  function decodeMap({ rows, columns, values }) {
    const bytes = Uint8Array.from(atob(values), (char) => char.charCodeAt(0));
    return { rows, columns, values: new Float32Array(bytes.buffer) };
  }

  // Source pixels and weight of one target pixel, as in OpenCV's INTER_LINEAR.
  function interpolation(count, side) {
    return Array.from({ length: side }, (_, target) => {
      const position = ((target + 0.5) * count) / side - 0.5;
      const first = Math.min(Math.max(Math.floor(position), 0), count - 1);
      const next = Math.min(first + 1, count - 1);
      return { first, next, weight: position <= 0 || first === next ? 0 : position - first };
    });
  }

  // The map enlarged to side x side and stretched to gray levels 0..255; zeros if it is constant or not finite.
  function toLevels({ rows, columns, values }, side) {
    const frame = new Float32Array(side * side), levels = new Uint8Array(side * side);
    const across = interpolation(columns, side), down = interpolation(rows, side);
    let low = Infinity, high = -Infinity;
    for (let y = 0, pixel = 0; y < side; y += 1) {
      const upper = down[y].first * columns, lower = down[y].next * columns;
      for (let x = 0; x < side; x += 1, pixel += 1) {
        const { first, next, weight } = across[x];
        const top = values[upper + first] * (1 - weight) + values[upper + next] * weight;
        const bottom = values[lower + first] * (1 - weight) + values[lower + next] * weight;
        const value = Math.fround(top * (1 - down[y].weight) + bottom * down[y].weight);
        frame[pixel] = value;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    const spread = Math.fround(high - low), constant = values.every((value) => value === values[0]);
    if (constant || !(spread > 0) || !Number.isFinite(spread)) return levels;
    for (let pixel = 0; pixel < frame.length; pixel += 1) {
      const share = Math.fround(Math.fround(frame[pixel] - low) / spread);
      levels[pixel] = Math.trunc(Math.fround(share * 255));
    }
    return levels;
  }

  // Marks the pixels at or below the cut that are connected to the border by their sides.
  function markOutside(levels, side, cut) {
    const outside = new Uint8Array(levels.length), stack = [];
    const visit = (pixel) => {
      if (outside[pixel] || levels[pixel] > cut) return;
      outside[pixel] = 1;
      stack.push(pixel);
    };
    for (let i = 0; i < side; i += 1) {
      for (const pixel of [i, levels.length - 1 - i, i * side, i * side + side - 1]) visit(pixel);
    }
    while (stack.length) {
      const pixel = stack.pop(), x = pixel % side;
      if (x > 0) visit(pixel - 1);
      if (x < side - 1) visit(pixel + 1);
      if (pixel >= side) visit(pixel - side);
      if (pixel + side < levels.length) visit(pixel + side);
    }
    return outside;
  }

  // Numbers the connected parts (corners count) of what is not outside, from 1, with their rectangles.
  function labelParts(outside, side) {
    const labels = new Int32Array(outside.length), parts = [], stack = [];
    for (let start = 0; start < outside.length; start += 1) {
      if (outside[start] || labels[start]) continue;
      const part = { left: side, top: side, right: 0, bottom: 0, area: 0 };
      parts.push(part);
      labels[start] = parts.length;
      stack.push(start);
      while (stack.length) {
        const pixel = stack.pop(), x = pixel % side, y = (pixel - x) / side;
        part.left = Math.min(part.left, x);
        part.right = Math.max(part.right, x + 1);
        part.top = Math.min(part.top, y);
        part.bottom = Math.max(part.bottom, y + 1);
        for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, side - 1); v += 1) {
          for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, side - 1); u += 1) {
            const other = v * side + u;
            if (outside[other] || labels[other]) continue;
            labels[other] = parts.length;
            stack.push(other);
          }
        }
      }
    }
    return { labels, parts };
  }

  // Adds to each part the area of the polygon through its outermost pixels' centers, as cv2.contourArea.
  function measureAreas({ labels, parts }, side) {
    for (let y = 0; y < side - 1; y += 1) {
      for (let x = 0; x < side - 1; x += 1) {
        const pixel = y * side + x;
        const block = [labels[pixel], labels[pixel + 1], labels[pixel + side], labels[pixel + side + 1]];
        const inside = block.filter((label) => label > 0);
        if (inside.length > 2) parts[inside[0] - 1].area += (inside.length - 2) / 2;
      }
    }
    return parts;
  }

  // The regions of levels above the cut, the largest first; a hole belongs to the region around it.
  function findRegions(levels, side, cut) {
    const parts = measureAreas(labelParts(markOutside(levels, side, cut), side), side);
    return parts.reverse().sort((a, b) => b.area - a.area);
  }

  // The mean of the levels inside a box, relative to their maximum.
  function strength(levels, side, { left, top, right, bottom }) {
    let sum = 0;
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1) sum += levels[y * side + x];
    }
    return sum / ((right - left) * (bottom - top)) / 255;
  }

  return { decodeMap, toLevels, findRegions, strength };
})();
