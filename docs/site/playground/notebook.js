// A notebook's page, live: its cells can be changed and run, by the worker that the playground has too.
import { Engine } from "./engine.js";
import { element } from "./text.js";

const HOUR = 3_600_000; // ms; a cell may train a network
const PACKAGES = ["numpy", "matplotlib"];

class Live {
  constructor(bar) {
    this.status = element("span", { role: "status" });
    this.cells = [...document.querySelectorAll("div.cell")].filter((cell) => cell.querySelector(".cell_input pre"));
    this.all = element("button", { type: "button", onclick: () => this.runAll() }, "run all");
    bar.replaceChildren(this.all, " ", this.status);
    for (const cell of this.cells) this.#prepare(cell);
    this.engine = new Engine({ ready() {}, frame() {}, died: (reason, forGood) => this.#say(forGood ? `Python cannot start here: ${reason}` : `Python was started again, so run the cells again: ${reason}`) }, HOUR);
    this.started = this.#start();
  }

  #say(text) { this.status.textContent = text; }

  #prepare(cell) {
    const code = cell.querySelector(".cell_input pre"), run = element("button", { type: "button", className: "run", onclick: () => this.run(cell) }, "run");
    code.contentEditable = "plaintext-only";
    code.spellcheck = false;
    code.setAttribute("role", "textbox");
    code.setAttribute("aria-multiline", "true");
    code.setAttribute("aria-label", "code");
    code.onkeydown = (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.shiftKey)) return;
      event.preventDefault();
      this.run(cell);
    };
    cell.querySelector(".cell_input").append(run);
  }

  async #start() {
    this.#say("Python is starting ...");
    await this.engine.ready;
    this.#say("loading NumPy and matplotlib ...");
    const missing = await this.engine.ask("packages", ...PACKAGES);
    this.#say(missing.length ? `Ready. ${missing.join(" and ")} could not be loaded, so cells that draw figures or compile will fail.` : "Ready.");
    document.body.dataset.live = "yes";
  }

  /** Run a cell, and show its outputs instead of those that it had. */
  async run(cell) {
    await this.started;
    const outputs = cell.querySelector(".cell_output") ?? cell.appendChild(element("div", { className: "cell_output" }));
    outputs.replaceChildren(element("pre", {}, "..."));
    try {
      const found = await this.engine.ask("cell", cell.querySelector(".cell_input pre").innerText);
      outputs.replaceChildren(...found.map(shown));
      cell.dataset.run = found.some(({ kind }) => kind === "error") ? "failed" : "done";
    } catch (error) {
      outputs.replaceChildren(element("pre", {}, error.message));
      cell.dataset.run = "failed";
    }
    return cell.dataset.run === "done";
  }

  /** Run all cells in order; later ones may do without one that fails. */
  async runAll() {
    this.all.disabled = true;
    let failed = 0;
    for (const cell of this.cells) if (!(await this.run(cell))) failed += 1;
    this.#say(failed ? `${failed} of ${this.cells.length} cells failed.` : "All cells have run.");
    this.all.disabled = false;
  }
}

/** An output as an element. HTML comes from the visitor's own code, as in any notebook. */
function shown({ kind, text }) {
  if (kind === "html") return element("div", { innerHTML: text });
  if (kind === "png") return element("img", { src: `data:image/png;base64,${text}`, alt: "figure" });
  return element("pre", { className: kind }, text);
}

const bar = document.getElementById("run-here");
bar.querySelector("button").onclick = () => new Live(bar);
