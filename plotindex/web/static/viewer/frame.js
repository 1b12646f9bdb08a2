// Two images in one frame: aligned at the top left, or both scaled to it.

import { isVector } from "../shared/formats.js";

const VECTOR_WIDTH = 2560; // pixels of the wider of two vectors

/**
 * Give two loaded images one frame, as large as the larger sides, and each the part of it that it covers. Returns their
 * sizes, and whether these differ.
 */
export function frame(images, isScaled) {
  const sizes = sizesOf(images);
  const [width, height] = ["width", "height"].map((side) => Math.max(...sizes.map((size) => size[side])));
  images.forEach(({ dataset }, index) => {
    const part = isScaled ? { width, height } : sizes[index];
    Object.assign(dataset, { originalWidth: width, originalHeight: height, partWidth: part.width / width, partHeight: part.height / height });
  });
  return { sizes, isDifferent: sizes.some((size) => size.width !== width || size.height !== height) };
}

/** A vector has no pixels: beside a raster it is as wide as that one; two of them keep their proportion. */
function sizesOf(images) {
  const own = images.map(({ dataset, naturalWidth, naturalHeight }) => ({
    isVector: isVector(dataset.filename),
    width: Number(dataset.plotWidth) || naturalWidth,
    height: Number(dataset.plotHeight) || naturalHeight,
  }));
  const raster = own.find((size) => !size.isVector);
  const widest = Math.max(...own.map(({ width }) => width));
  return own.map((size) => {
    const factor = size.isVector ? (raster ? raster.width / size.width : VECTOR_WIDTH / widest) : 1;
    const height = Math.round(size.height * factor);
    // Programs round the size of a raster.
    const isRounded = size.isVector && raster && Math.abs(height - raster.height) <= 1;
    return { width: Math.round(size.width * factor), height: isRounded ? raster.height : height };
  });
}
