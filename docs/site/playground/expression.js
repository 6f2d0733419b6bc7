// The tab of expressions: a text, its inputs, its player and the referees' report.
import { at, element, settled, short } from "./text.js";
import { play } from "../player.js";

export class Expression {
  /** `changed()` is called when the state has changed. */
  constructor(engine, state, changed) {
    this.engine = engine;
    this.text = state.text ?? "(tanh(w*x + b) - y)**2";
    this.inputs = state.inputs ?? {};
    this.changed = changed;
    at("text").value = this.text;
    const soon = settled(() => this.see());
    at("text").oninput = () => { this.text = at("text").value; soon(); };
    at("examples").onchange = () => {
      if (!at("examples").value) return;
      this.text = at("text").value = at("examples").value;
      this.inputs = {};
      this.see();
    };
    this.soon = soon;
  }

  state() { return { text: this.text, inputs: this.inputs }; }

  /** Ask Python for the player and the report; a later text makes an earlier answer worthless. */
  async see() {
    const text = this.text;
    this.changed();
    try {
      const found = await this.engine.ask("see", text, this.inputs);
      if (text !== this.text) return;
      at("message").hidden = true;
      this.#show(found);
    } catch (error) {
      if (text !== this.text) return;
      at("message").textContent = error.message;
      at("message").hidden = false;
    }
  }

  #show({ inputs, result, page, report, right }) {
    const names = Object.keys(inputs).join();
    if (at("inputs").dataset.names !== names) {
      at("inputs").dataset.names = names;
      at("inputs").replaceChildren(...Object.entries(inputs).map(([name, number]) => this.#input(name, number)));
    }
    this.inputs = inputs;
    at("result").textContent = `L = ${short(result)}`;
    at("report").textContent = report;
    at("report").dataset.right = right;
    play(at("player"), page);
    at("player").dataset.text = this.text;
  }

  #input(name, number) {
    const field = element("input", { type: "number", step: "any", value: number });
    field.oninput = () => {
      if (!Number.isFinite(field.valueAsNumber)) return;
      this.inputs = { ...this.inputs, [name]: field.valueAsNumber };
      this.soon();
    };
    return element("label", {}, `${name} = `, field);
  }
}
