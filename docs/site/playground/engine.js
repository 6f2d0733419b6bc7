// The page's side of the worker: questions with answers, training, and a new worker when one dies.
const PATIENCE = 60_000; // ms; no answer of the playground takes as long, so the worker hangs
const MOST_DEATHS = 2; // in a row, before Python was ready

export class Engine {
  #worker = null;
  #waiting = new Map();
  #last = 0;
  #deaths = 0; // since Python was ready

  /** The listeners: ready(), frame(numbers), died(reason, forGood). */
  constructor(listeners, patience = PATIENCE) {
    Object.assign(this, { listeners, patience });
    this.#begin();
  }

  #begin() {
    this.ready = new Promise((go) => { this.#go = go; });
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = (event) => this.restart(event.message || "the worker could not start");
  }
  #go = null;

  #hear(data) {
    if (data.ready) {
      this.#deaths = 0;
      this.#go();
      this.listeners.ready();
    } else if (data.died) this.restart(data.died);
    else if (data.frame) {
      this.listeners.frame(data.frame);
      requestAnimationFrame(() => this.#worker.postMessage({ seen: true }));
    } else {
      const { yes, no, clock } = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      clearTimeout(clock);
      if (data.found?.error) no(new Error(data.found.error));
      else yes(data.found);
    }
  }

  /** End the worker and begin a new one; questions without an answer fail with the reason. */
  restart(reason) {
    this.#worker.terminate();
    for (const { no, clock } of this.#waiting.values()) {
      clearTimeout(clock);
      no(new Error(`Python was started again: ${reason}`));
    }
    this.#waiting.clear();
    const forGood = ++this.#deaths > MOST_DEATHS;
    if (!forGood) this.#begin();
    this.listeners.died(reason, forGood);
  }

  /** A promise of the answer of Python. */
  async ask(name, ...values) {
    await this.ready;
    return new Promise((yes, no) => {
      const id = ++this.#last;
      const clock = setTimeout(() => this.restart(`no answer to "${name}"`), this.patience);
      this.#waiting.set(id, { yes, no, clock });
      this.#worker.postMessage({ id, name, values });
    });
  }

  /** Train until `pause`, or for so many steps. */
  train(steps = 2 ** 30) { this.#worker.postMessage({ train: steps }); }
  pause() { this.#worker.postMessage({ pause: true }); }
}
