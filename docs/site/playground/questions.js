// The primer's questions as buttons.
import { at, element } from "./text.js";

/** Show the groups of questions; `ask(question)` is called for the one that is clicked. */
export function show(groups, ask) {
  at("questions").replaceChildren(...groups.map(({ title, questions }) =>
    element("div", { className: "row", role: "group", ariaLabel: title }, element("b", {}, title),
      ...questions.map((question) => {
        const button = element("button", { type: "button", onclick: () => ask(question) }, question.title);
        button.dataset.key = question.key;
        return button;
      }))));
}
