// The plane: the outputs over it as colours, the samples, and a place to click.
import { dot, mixed } from "./colours.js";

export const PIXELS = 24, REACH = 2;

/** The outputs of all neurons over the plane, as they come in row by row. */
export class Outputs {
  constructor(neurons) {
    this.images = Array.from({ length: neurons }, () => new ImageData(PIXELS, PIXELS));
  }

  /** Take rows of numbers: for each pixel the outputs of all neurons. */
  take(rows) {
    const count = this.images.length;
    for (const [row, numbers] of rows)
      for (let i = 0; i < PIXELS; i++)
        for (let k = 0; k < count; k++) {
          const [red, green, blue] = mixed(numbers[i * count + k]);
          this.images[k].data.set([red, green, blue, 255], 4 * (row * PIXELS + i));
        }
  }

  /** Draw one neuron's outputs into a canvas of PIXELS x PIXELS. */
  draw(k, canvas) { canvas.getContext("2d").putImageData(this.images.at(k), 0, 0); }
}

/** The samples over the plane, as circles; the chosen one is larger. */
export function drawSamples(canvas, samples, chosen) {
  const context = canvas.getContext("2d"), size = canvas.width, scale = size / (2 * REACH);
  context.clearRect(0, 0, size, size);
  samples.forEach(([x, y, target], i) => {
    context.beginPath();
    context.arc((x + REACH) * scale, (REACH - y) * scale, (i === chosen ? 0.026 : 0.016) * size, 0, 7);
    context.fillStyle = dot(target);
    context.fill();
    context.lineWidth = (i === chosen ? 0.01 : 0.005) * size;
    context.strokeStyle = i === chosen ? "#1b1b1b" : "#fff";
    context.stroke();
  });
}

/** A small cross where the keyboard's cursor is. */
export function drawCursor(canvas, [x, y]) {
  const context = canvas.getContext("2d"), size = canvas.width, scale = size / (2 * REACH);
  const [left, top, arm] = [(x + REACH) * scale, (REACH - y) * scale, 0.03 * size];
  context.lineWidth = 0.008 * size;
  context.strokeStyle = "#1b1b1b";
  context.beginPath();
  context.moveTo(left - arm, top);
  context.lineTo(left + arm, top);
  context.moveTo(left, top - arm);
  context.lineTo(left, top + arm);
  context.stroke();
}

/** The place on the plane of a click. */
export function placeOf(event, canvas) {
  const box = canvas.getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  return [x * 2 * REACH - REACH, REACH - y * 2 * REACH].map((z) => Math.round(100 * z) / 100);
}

/** The number of the sample nearest to a place, if it is near. */
export function nearest(samples, [x, y], within = 0.15) {
  let best = -1, least = within;
  samples.forEach(([u, v], i) => {
    const distance = Math.hypot(u - x, v - y);
    if (distance < least) [best, least] = [i, distance];
  });
  return best;
}
