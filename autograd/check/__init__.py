"""What checks gradients."""
