// The network as a picture: a circle for each neuron with its own boundary, a line for each weight.
import { PIXELS } from "./plane.js";
import { sign } from "./colours.js";
import { element, short } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

/** The names of the weights into a neuron, and of its bias, as Python calls them. */
const weight = (layer, neuron, i) => `layers.${layer}.neurons.${neuron}.weights.${i}`;
const bias = (layer, neuron) => `layers.${layer}.neurons.${neuron}.bias`;

export class Diagram {
  /** Draw a network of these sizes; `choose(name)` is called for the parameter that is clicked. */
  constructor(box, sizes, choose) {
    this.box = box;
    this.lines = new Map();
    this.canvases = [];
    const wide = 100 / sizes.length, place = (layer, i) => [wide * (layer + 0.5), (100 * (i + 0.5)) / sizes[layer]];
    const lines = document.createElementNS(SVG, "svg");
    lines.setAttribute("viewBox", "0 0 100 100");
    lines.setAttribute("preserveAspectRatio", "none");
    lines.setAttribute("aria-hidden", "true"); // the table of weights has the same, for the keyboard
    box.replaceChildren(lines);
    box.style.height = `${Math.max(...sizes) * 58 + 10}px`;
    for (let layer = 1; layer < sizes.length; layer++)
      for (let neuron = 0; neuron < sizes[layer]; neuron++)
        for (let i = 0; i < sizes[layer - 1]; i++)
          this.#line(lines, place(layer - 1, i), place(layer, neuron), weight(layer - 1, neuron, i), choose);
    sizes.forEach((count, layer) => {
      for (let i = 0; i < count; i++) this.#neuron(layer, i, place(layer, i), choose);
    });
  }

  #line(lines, [x, y], [u, v], name, choose) {
    const middle = (x + u) / 2, curve = `M${x},${y} C${middle},${y} ${middle},${v} ${u},${v}`;
    const made = ["line", "hit"].map((kind) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", curve);
      path.setAttribute("class", kind);
      lines.append(path);
      return path;
    });
    made[1].onclick = () => choose(name);
    const title = document.createElementNS(SVG, "title");
    made[1].append(title);
    this.lines.set(name, { line: made[0], title });
  }

  #neuron(layer, i, [x, y], choose) {
    const canvas = element("canvas", { width: PIXELS, height: PIXELS });
    let circle;
    if (layer === 0) circle = element("span", { className: "input" }, "xy"[i]);
    else {
      this.canvases.push(canvas);
      circle = element("button", { type: "button", className: "neuron", onclick: () => choose(bias(layer - 1, i)) }, canvas);
      circle.setAttribute("aria-label", `layer ${layer - 1}, neuron ${i}: explain its bias`);
    }
    circle.style.left = `${x}%`;
    circle.style.top = `${y}%`;
    this.box.append(circle);
  }

  /** Show the weights as widths and colours, and each neuron's outputs over the plane. */
  show(names, numbers, outputs, chosen) {
    const largest = Math.max(1e-9, ...numbers.map(Math.abs).filter(Number.isFinite));
    names.forEach((name, i) => {
      const found = this.lines.get(name);
      if (!found) return;
      const number = numbers[i];
      found.line.style.stroke = name === chosen ? "var(--lit)" : sign(number);
      found.line.style.strokeWidth = `${0.6 + (5 * Math.min(largest, Math.abs(number) || 0)) / largest}px`;
      found.title.textContent = `${name} = ${short(number)}`;
    });
    this.canvases.forEach((canvas, k) => outputs.draw(k, canvas));
  }
}
