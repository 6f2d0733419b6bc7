"""Views of a graph: pictures, the player, the page, paths, and steps as text."""
