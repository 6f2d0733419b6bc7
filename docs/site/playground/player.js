// The player's page in a frame that may only run its own script.

/** Show a page in a frame. */
export function play(frame, page) { frame.srcdoc = page; }
