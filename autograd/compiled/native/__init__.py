"""Programs as machine code that LLVM makes for their shapes, and for the processor at hand."""
