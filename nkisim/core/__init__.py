"""What every instruction stands on: element types, memories, tensors, launches."""
