// A player's page in a frame that may only run its own script, light or dark as the page around it.
const QUERY = "(prefers-color-scheme: dark)";

/** The page's text in the theme of this page, which may not be the system's. */
function themed(text) {
  const theme = document.documentElement.dataset.theme;
  return text.replaceAll(QUERY, theme === "dark" ? "all" : "not all").replace("color-scheme: light dark", `color-scheme: ${theme}`);
}

/** Show a page's text in a frame, also after the theme has changed, and give the frame its height. */
export function play(frame, [text, height]) {
  frame.text = text;
  frame.srcdoc = themed(text);
  // A padding in percent is a part of the width, which a height cannot be.
  frame.parentElement.style.paddingBottom = height;
}

addEventListener("themed", () => {
  for (const frame of document.querySelectorAll("iframe")) if (frame.text) frame.srcdoc = themed(frame.text);
});
