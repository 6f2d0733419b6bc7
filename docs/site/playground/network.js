// The tab of networks: controls, training, and what is drawn of it.
import { Outputs, drawCursor, drawSamples, nearest, placeOf, REACH } from "./plane.js";
import { drawCurve } from "./curve.js";
import { Diagram } from "./diagram.js";
import { Weights } from "./weights.js";
import * as why from "./why.js";
import { at, settled, short } from "./text.js";

const OWN = "own", CONTROLS = ["data", "activation", "initializer", "optimizer"];
const rateOf = (slider) => Number((10 ** Number(slider)).toPrecision(3));

export class Network {
  /** `changed()` is called when the state has changed. */
  constructor(engine, choices, state, changed) {
    Object.assign(this, { engine, choices, changed, running: false, losses: [], shown: null, question: null });
    this.setting = { ...choices.start, ...state };
    this.sample = 0;
    this.chosen = null;
    this.cursor = null;
    for (const key of CONTROLS) {
      at(key).replaceChildren(...choices[key].map((name) => new Option(name)));
      at(key).onchange = () => this.set({ [key]: at(key).value });
    }
    at("hidden").onchange = () => this.set({ hidden: (at("hidden").value.match(/\d+/g) ?? []).map(Number) });
    at("seed").onchange = () => this.set({ seed: Number(at("seed").value) });
    at("rate").oninput = () => this.turn(rateOf(at("rate").value));
    at("train").onclick = () => (this.running ? this.pause() : this.train());
    at("one").onclick = () => this.train(1);
    at("reset").onclick = () => this.start();
    at("sample").onchange = () => this.pick(Number(at("sample").value));
    at("undo").onclick = () => this.set({ points: this.setting.points.slice(0, -1) });
    at("clear").onclick = () => this.set({ points: [] });
    this.plane = at("samples");
    this.plane.onclick = (event) => this.#clicked(placeOf(event, this.plane));
    this.plane.onkeydown = (event) => this.#key(event);
    this.explainSoon = settled(() => this.explain(), 50);
  }

  state() {
    const { points, ...rest } = this.setting;
    return rest.data === OWN ? { ...rest, points } : rest;
  }

  /** Change the setting and begin anew. */
  async set(fields) {
    this.setting = { ...this.setting, ...fields };
    this.question = null;
    await this.start();
  }

  async start() {
    await this.#begin(() => this.engine.ask("start", this.setting));
  }

  /** After Python died: the same network, with the weights that were seen last. */
  async restore() {
    const numbers = this.shown?.numbers;
    if (!numbers) return this.start();
    await this.#begin(() => this.engine.ask("restore", this.setting, numbers));
  }

  async #begin(ask) {
    this.pause();
    try {
      this.#show(await ask());
      at("trouble").hidden = true;
    } catch (error) {
      this.#trouble(error.message);
    }
  }

  #trouble(text) {
    at("trouble").textContent = text;
    at("trouble").hidden = !text;
  }

  async #show(found) {
    const { names, sizes, samples, setting, ...numbers } = found;
    this.setting = { ...setting, hidden: [...setting.hidden], points: setting.points.map((point) => [...point]) };
    Object.assign(this, { names, samples, losses: [] });
    if (!names.includes(this.chosen)) this.chosen = null;
    this.sample = Math.max(0, Math.min(this.sample, samples.length - 1));
    at("why").hidden = this.chosen === null || !samples.length;
    at("measured").replaceChildren();
    const choose = (name) => this.choose(name);
    this.outputs = new Outputs(sizes.slice(1).reduce((sum, size) => sum + size, 0));
    this.diagram = new Diagram(at("diagram"), sizes, choose);
    this.weights = new Weights(at("weights"), names, choose);
    this.#controls();
    this.changed();
    this.outputs.take(await this.engine.ask("rows", 10));
    this.frame({ ...numbers, rows: [] });
    if (this.chosen !== null) this.explainSoon();
  }

  #controls() {
    for (const key of CONTROLS) at(key).value = this.setting[key];
    at("hidden").value = this.setting.hidden.join(", ");
    at("seed").value = this.setting.seed;
    at("rate").value = Math.log10(this.setting.rate);
    at("rated").textContent = short(this.setting.rate);
    at("own").hidden = this.setting.data !== OWN;
    at("sample").max = Math.max(0, this.samples.length - 1);
    at("sample").value = this.sample;
  }

  /** Train with another rate, also while it trains. */
  turn(rate) {
    this.setting.rate = rate;
    at("rated").textContent = short(rate);
    this.engine.ask("turn", rate).catch((error) => this.#trouble(error.message));
    this.changed();
  }

  train(steps) {
    this.#running(true);
    this.engine.train(steps);
  }

  pause() {
    if (this.running) this.engine.pause();
    this.#running(false);
  }

  #running(running) {
    this.running = running;
    at("train").textContent = running ? "pause" : "train";
    at("train").setAttribute("aria-pressed", String(running));
  }

  /** Show the numbers of a frame; the losses follow those that were seen before. */
  frame(found) {
    this.shown = found;
    this.losses.length = found.first;
    this.losses.push(...found.losses);
    this.outputs.take(found.rows);
    requestAnimationFrame(() => this.draw());
    if (!found.done) return;
    this.#running(false);
    if (found.stopped) this.#trouble(`Training stopped: ${found.stopped}.`);
    if (this.chosen !== null) this.explainSoon();
    if (this.question) this.#measure();
  }

  /** Draw the last frame. */
  draw() {
    const { numbers, slopes, steps, right, of, nodes, cost } = this.shown;
    const ink = getComputedStyle(document.body).color;
    this.outputs.draw(-1, at("map"));
    drawSamples(this.plane, this.samples, this.sample);
    if (this.cursor) drawCursor(this.plane, this.cursor);
    drawCurve(at("curve"), this.losses, ink);
    this.diagram.show(this.names, numbers, this.outputs, this.chosen);
    this.weights.show(numbers, slopes, this.chosen);
    const loss = this.losses.length ? `loss ${short(this.losses.at(-1))} after ${steps} ${steps === 1 ? "step" : "steps"}` : "not trained yet";
    at("loss").textContent = loss;
    at("curve").setAttribute("aria-label", `loss curve: ${loss}`);
    at("right").textContent = `${right} of ${of} points are on the right side`;
    at("cost").textContent = `${nodes.toLocaleString("en")} scalars in the graph${cost ? `, ${(1000 * cost).toFixed(1)} ms a step` : ""}`;
    at("frames").dataset.steps = steps;
  }

  #clicked(place) {
    const near = nearest(this.samples, place);
    if (near >= 0) this.pick(near);
    else if (this.setting.data === OWN) this.#add(place);
  }

  #add([x, y]) {
    const target = document.querySelector("input[name=class]:checked").value;
    this.set({ points: [...this.setting.points, [x, y, Number(target)]] });
  }

  /** Arrow keys move a cross over the plane; Enter picks the sample there, or adds one. */
  #key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (move) {
      const from = this.cursor ?? [0, 0], step = event.shiftKey ? 0.5 : 0.1;
      this.cursor = from.map((z, i) => Math.round(100 * Math.max(-REACH, Math.min(REACH, z + step * move[i]))) / 100);
      this.draw();
    } else if (event.key === "Enter" || event.key === " ") this.#clicked(this.cursor ?? [0, 0]);
    else return;
    event.preventDefault();
  }

  /** Look at another sample. */
  pick(index) {
    if (!(index >= 0 && index < this.samples.length)) return;
    this.sample = index;
    at("sample").value = index;
    this.draw();
    if (this.chosen !== null) this.explainSoon();
  }

  /** Explain the gradient of a parameter. */
  choose(name) {
    this.chosen = name;
    this.draw();
    this.explainSoon();
  }

  async explain() {
    const { chosen, sample } = this;
    if (!this.samples.length) return this.#trouble("There are no points, so there is no gradient to explain.");
    try {
      why.show(chosen, sample, await this.engine.ask("explain", chosen, sample));
    } catch (error) {
      this.#trouble(error.message);
    }
  }

  /** Try one of the primer's questions: its setting, its number of steps, then the figures. */
  async ask(question) {
    await this.set(question.setting);
    this.question = question;
    at("claim").textContent = `${question.title}: ${question.claim}`;
    this.train(question.steps);
  }

  async #measure() {
    const { question } = this;
    this.question = null;
    const lines = await this.engine.ask("measured");
    at("claim").textContent = `${question.title}: ${question.claim}`;
    at("measured").replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  }
}
