// Files and links that the visitor takes along.
import { element } from "./text.js";

/** Save a text as a file. */
export function save(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Copy the page's address; say so on the button. */
export async function copyLink(button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "copied";
  } catch {
    button.textContent = "copy the address above";
  }
  setTimeout(() => { button.textContent = before; }, 2_000);
}
