// The explanation of one parameter's gradient: its paths, the referees, the player of one sample.
import { at, element, short } from "./text.js";
import { play } from "../player.js";

const factor = (x) => (x < 0 ? `(${short(x)})` : short(x));

/** A path as words: the places that it passes, with the factor of each. */
function words([stages, product, share]) {
  const places = stages.map(([place, local]) => element("span", { className: "stage" }, place, element("small", {}, ` × ${factor(local)}`)));
  return element("tr", {},
    element("td", {}, ...places.flatMap((place, i) => (i ? [" → ", place] : [place]))),
    element("td", { className: "number" }, short(product)),
    element("td", { className: "number" }, Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : ""));
}

/** Show why a parameter has its gradient. */
export function show(name, sample, found) {
  at("why").hidden = false;
  at("why-title").textContent = `The gradient of ${name} on sample ${sample}`;
  at("why-sum").textContent =
    `${short(found.gradient)} is the sum over ${found.count} ${found.count === 1 ? "path" : "paths"}; ` +
    `the mean over all samples was ${short(found.mean)} at the last step.`;
  at("why-paths").replaceChildren(...found.paths.map(words));
  at("why-report").textContent = found.report;
  at("why-report").dataset.right = found.right;
  play(at("why-player"), found.page);
}
