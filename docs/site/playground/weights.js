// The table of all parameters: name, number, gradient; each name is a button that explains it.
import { element, short } from "./text.js";
import { sign } from "./colours.js";

export class Weights {
  constructor(body, names, choose) {
    this.names = names;
    this.cells = names.map(() => [element("td", { className: "number" }), element("td", { className: "number slope" })]);
    this.buttons = names.map((name) => element("button", { type: "button", onclick: () => choose(name) }, name.replace("layers.", "").replace("neurons.", "").replace("weights.", "w")));
    body.replaceChildren(...names.map((name, i) => element("tr", {}, element("th", { scope: "row" }, this.buttons[i]), ...this.cells[i])));
  }

  /** Show numbers and gradients; only what is in the window needs a new text. */
  show(numbers, slopes, chosen) {
    this.cells.forEach(([number, slope], i) => {
      number.textContent = short(numbers[i]);
      slope.textContent = short(slopes[i]);
      slope.style.setProperty("--sign", sign(slopes[i]));
      this.buttons[i].setAttribute("aria-pressed", String(this.names[i] === chosen));
    });
  }
}
