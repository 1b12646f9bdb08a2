// How two pictures of one size differ, pixel by pixel.

const ROWS = 256; // at once: a picture of any size takes little memory, and the page stays quick

/**
 * `{differing, total, largest, box}` of two loaded images: how many pixels differ, by how much of 255 in a channel at
 * most, and in which rectangle, in fractions. Null when `signal` says that nobody waits for it any more.
 */
export async function compare(one, other, signal) {
  const { naturalWidth: width, naturalHeight: height } = one;
  const read = reader(width);
  let differing = 0;
  let largest = 0;
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let start = 0; start < height; start += ROWS) {
    const rows = Math.min(ROWS, height - start);
    const [a, b] = [read(one, start, rows), read(other, start, rows)];
    for (let pixel = 0; pixel < a.whole.length; pixel += 1) {
      if (a.whole[pixel] === b.whole[pixel]) continue;
      differing += 1;
      for (let channel = 4 * pixel; channel < 4 * pixel + 3; channel += 1) {
        largest = Math.max(largest, Math.abs(a.bytes[channel] - b.bytes[channel]));
      }
      const [x, y] = [pixel % width, start + Math.floor(pixel / width)];
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
    await new Promise((go) => setTimeout(go));
    if (signal.aborted) return null;
  }
  const box = { x: left / width, y: top / height, width: (right + 1 - left) / width, height: (bottom + 1 - top) / height };
  return { differing, total: width * height, largest, box };
}

export function describe({ differing, total, largest }) {
  if (!differing) return "The two are identical, pixel by pixel.";
  const share = (100 * differing) / total;
  const percent = share < 0.01 ? "Less than 0.01" : share.toFixed(share < 10 ? 2 : 1);
  const pixels = `${differing.toLocaleString("en")} of ${total.toLocaleString("en")}`;
  return `${percent} % of the pixels differ (${pixels}), by ${largest} of 255 at most.`;
}

function reader(width) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = ROWS;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return (image, start, rows) => {
    // On white paper, as they are shown.
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, ROWS);
    context.drawImage(image, 0, -start);
    const { data } = context.getImageData(0, 0, width, rows);
    return { bytes: data, whole: new Uint32Array(data.buffer) };
  };
}
