"""Machine code for programs, compiled by LLVM for their shapes and for this processor."""
