"""Days played through the real service and flows: sandbox, traffic, sabotage, report."""
