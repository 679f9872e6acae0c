"""Photos of faces whose concepts are attributes (paper App. C.3)."""
