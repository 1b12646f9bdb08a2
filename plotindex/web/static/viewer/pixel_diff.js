// Pixel difference of two images in one frame.

const ROWS_PER_STRIP = 256; // bounds the memory, and keeps the page responsive

/**
 * Compare two loaded images, as `frame` has placed them, on white. `{differing, total, maxDelta, box}`: pixels that differ, all pixels, the largest difference
 * of a channel (0 to 255), and the bounding box of the differences as fractions of the image. Null if aborted.
 */
export async function diffImages(left, right, signal) {
  const [width, height] = [left.dataset.originalWidth, left.dataset.originalHeight].map(Number);
  const read = createReader(width);
  let differing = 0;
  let maxDelta = 0;
  let [minX, minY, maxX, maxY] = [width, height, -1, -1];
  for (let start = 0; start < height; start += ROWS_PER_STRIP) {
    const rows = Math.min(ROWS_PER_STRIP, height - start);
    const [a, b] = [read(left, start, rows), read(right, start, rows)];
    for (let pixel = 0; pixel < a.pixels.length; pixel += 1) {
      if (a.pixels[pixel] === b.pixels[pixel]) continue;
      differing += 1;
      for (let channel = 4 * pixel; channel < 4 * pixel + 3; channel += 1) {
        maxDelta = Math.max(maxDelta, Math.abs(a.bytes[channel] - b.bytes[channel]));
      }
      const [x, y] = [pixel % width, start + Math.floor(pixel / width)];
      minX = Math.min(minX, x);
      maxX = Math.max(maxX, x);
      minY = Math.min(minY, y);
      maxY = Math.max(maxY, y);
    }
    await new Promise((resolve) => setTimeout(resolve));
    if (signal.aborted) return null;
  }
  const box = { x: minX / width, y: minY / height, width: (maxX + 1 - minX) / width, height: (maxY + 1 - minY) / height };
  return { differing, total: width * height, maxDelta, box };
}

export function describeDiff({ differing, total, maxDelta }) {
  if (!differing) return "The images are identical, pixel by pixel.";
  const share = (100 * differing) / total;
  const percent = share < 0.01 ? "Less than 0.01" : share.toFixed(share < 10 ? 2 : 1);
  const pixels = `${differing.toLocaleString("en")} of ${total.toLocaleString("en")}`;
  return `${percent} % of the pixels differ (${pixels}), by ${maxDelta} of 255 at most.`;
}

function createReader(width) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = ROWS_PER_STRIP;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  return (image, start, rows) => {
    // White background, as in the page.
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, ROWS_PER_STRIP);
    const { originalHeight, partWidth, partHeight } = image.dataset;
    context.drawImage(image, 0, -start, width * partWidth, originalHeight * partHeight);
    const { data } = context.getImageData(0, 0, width, rows);
    return { bytes: data, pixels: new Uint32Array(data.buffer) };
  };
}
