// What scrolls can be scrolled with the keyboard.
"use strict";
addEventListener("load", () => {
  for (const box of document.querySelectorAll("pre, .table-wrapper, .math, .cell_output"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
});
