// The curve of the losses, on a logarithmic scale as soon as they span more than a factor of 20.
import { short } from "./text.js";

const MARGIN = { left: 84, right: 10, top: 12, bottom: 26 };

/** Draw the losses; gaps where they are not finite. */
export function drawCurve(canvas, losses, ink) {
  const context = canvas.getContext("2d"), { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  context.font = "20px system-ui, sans-serif";
  context.fillStyle = context.strokeStyle = ink;
  const finite = losses.filter((loss) => Number.isFinite(loss) && loss > 0);
  if (!finite.length) return;
  let low = Infinity, high = -Infinity;
  for (const loss of finite) { low = Math.min(low, loss); high = Math.max(high, loss); }
  const logarithmic = high > 20 * low, on = logarithmic ? Math.log : (x) => x;
  const bottom = logarithmic ? Math.log(low) : 0, span = on(high) - bottom || 1;
  const across = (i) => MARGIN.left + (i * (width - MARGIN.left - MARGIN.right)) / Math.max(1, losses.length - 1);
  const up = (loss) => height - MARGIN.bottom - ((on(loss) - bottom) / span) * (height - MARGIN.top - MARGIN.bottom);
  context.globalAlpha = 0.6;
  context.fillText(short(high), 2, MARGIN.top + 12);
  context.fillText(logarithmic ? short(low) : "0", 2, height - MARGIN.bottom);
  context.fillText(`${losses.length} steps${logarithmic ? ", logarithmic" : ""}`, MARGIN.left, height - 4);
  context.globalAlpha = 1;
  context.lineWidth = 3;
  context.beginPath();
  // More points than pixels would take time and look the same.
  const stride = Math.max(1, Math.floor(losses.length / width));
  let drawing = false;
  for (let i = 0; i < losses.length; i += stride) {
    const seen = Number.isFinite(losses[i]) && losses[i] > 0;
    if (seen) context[drawing ? "lineTo" : "moveTo"](across(i), up(losses[i]));
    drawing = seen;
  }
  context.stroke();
}
