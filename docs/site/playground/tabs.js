// Two tabs, as the ARIA practices describe them: arrow keys go from one to the other.
import { at } from "./text.js";

const NAMES = ["expression", "network"];

/** Make the tabs work; `changed(name)` is called for the one that is shown. */
export function tabs(first, changed) {
  const show = (name, focus) => {
    for (const other of NAMES) {
      const tab = at(`tab-${other}`), here = other === name;
      tab.setAttribute("aria-selected", String(here));
      tab.tabIndex = here ? 0 : -1;
      at(`panel-${other}`).hidden = !here;
      if (here && focus) tab.focus();
    }
    changed(name);
  };
  for (const name of NAMES) {
    at(`tab-${name}`).onclick = () => show(name);
    at(`tab-${name}`).onkeydown = ({ key }) => {
      if (key === "ArrowLeft" || key === "ArrowRight") show(NAMES.find((other) => other !== name), true);
    };
  }
  show(NAMES.includes(first) ? first : NAMES[0]);
}
