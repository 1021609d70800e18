"""How fast a step is, part by part, and beside what it is compared with."""
